import { createHash } from "node:crypto";
import { z } from "zod";
import { isKeysteadError } from "../../src/errors.ts";
import type { Keystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { openFromParts } from "../support/parts.ts";
import { SharedClock } from "../support/shared-clock.ts";
import { SharedLines } from "../support/shared-lines.ts";
import { day } from "../support/test-clock.ts";

/**
 * Does random lifecycle acts on shared keys from several Keysteads at once, and prints a line of JSON for each. Moves the clock that all
 * processes have on while the others are in the middle of something, and opens what any of them sealed. Arguments: store URL, file of the
 * clock, seed, how many Keysteads, how many acts each (`25`) or for how long (`30s`).
 */
const [store = "", clockFile = "", seed = "", keysteads = "1", times = "1"] = process.argv.slice(2);
const masterKeys = { main: { bytes: canaries.masterKey.bytes }, next: { bytes: canaries.importedKey.bytes } };
const clock = new SharedClock(clockFile);
/** What all processes sealed, whoever opens it. */
const sealedTexts = new SharedLines(`${clockFile}.sealed`, (line) =>
  z.object({ name: z.string(), plain: z.string(), sealed: z.string() }).parse(line),
);
const keys = ["a", "b"];
/** Acts of each Keystead, however long they take. */
const fewestActs = 16;

/** Numbers that only depend on the seed. */
function sequence(name: string): (below: number) => number {
  let count = 0;
  return (below) =>
    createHash("sha256")
      .update(`${seed} ${name} ${String(count++)}`)
      .digest()
      .readUInt32BE() % below;
}

const now = (): number => performance.timeOrigin + performance.now();

/** What an act failed with. A version may have become active before the act that was to make it current failed. */
function outcomeOf(error: unknown): string {
  if (!isKeysteadError(error)) return String(error);
  return error.message.includes("before it was current") ? "STOPPED" : error.code;
}

/** What the result of an act says: the state of a destruction and its dates, ciphertext, or who sealed what was opened. */
function describe(result: unknown): Readonly<Record<string, unknown>> {
  if (typeof result === "string") return { sealed: result };
  if (typeof result !== "object" || result === null) return {};
  if ("sealer" in result) return { sealer: result.sealer };
  if (!("status" in result)) return {};
  const { status } = result;
  if ("executeAfter" in result) return { status, executeAfter: Date.parse(String(result.executeAfter)) };
  const certificate = "certificate" in result ? result.certificate : undefined;
  if (typeof certificate !== "object" || certificate === null || !("statement" in certificate)) return { status };
  const statement = JSON.parse(String(certificate.statement)) as { readonly executedAt: string; readonly scheduledAt?: string };
  const { executedAt, scheduledAt } = statement;
  return { status, executedAt: Date.parse(executedAt), ...(scheduledAt !== undefined && { scheduledAt: Date.parse(scheduledAt) }) };
}

async function actRandomly(keystead: Keystead, name: string): Promise<void> {
  const random = sequence(name);
  const pick = <T>(choices: readonly T[]): T => {
    const chosen = choices[random(choices.length)];
    if (chosen === undefined) throw new Error("nothing to choose from");
    return chosen;
  };
  const until = times.endsWith("s") ? now() + Number(times.slice(0, -1)) * 1000 : undefined;
  const goesOn = (count: number): boolean => (until === undefined ? count < Number(times) : now() < until || count < fewestActs);
  for (let count = 0; goesOn(count); count += 1) {
    const key = pick(keys);
    const { versions, currentVersion } = await keystead.keys.show(key);
    const pending = versions.filter(({ destroyAt }) => destroyAt !== undefined);
    const due = pending.filter(({ destroyAt = "" }) => Date.parse(destroyAt) <= clock.now());
    const acts: Record<string, () => Promise<unknown>> = {
      rotate: () => keystead.keys.rotate(key),
      short: () => keystead.keys.rotate(key, { expiresAt: new Date(clock.now() + 2 * day) }),
      later: () => keystead.keys.rotate(key, { activateAt: new Date(clock.now() + (1 + random(4)) * day) }),
      activate: () => keystead.keys.activate(key, version),
      suspend: () => keystead.keys.suspend(key, version),
      resume: () => keystead.keys.resume(key, version),
      deactivate: () => keystead.keys.deactivate(key, version),
      compromise: () => keystead.keys.compromise(key, version),
      destroy: () => keystead.keys.destroy(key, version),
      cancel: () => keystead.keys.cancelDestroy(key, version),
      kek: () => {
        const [from, to] = random(2) === 0 ? (["local:main", "local:next"] as const) : (["local:next", "local:main"] as const);
        return keystead.keks.rotate(from, to);
      },
      encrypt: async () => {
        const plain = `${name} ${String(count)}`;
        const sealed = await keystead.encrypt(key, plain);
        sealedTexts.append({ name, plain, sealed });
        return sealed;
      },
      decrypt: async () => {
        const texts = sealedTexts.values();
        if (texts.length === 0) return {};
        const { name: sealer, plain, sealed } = pick(texts);
        if ((await keystead.decryptText(sealed)) !== plain) throw new Error("a wrong plaintext");
        return { sealer };
      },
      advance: async () => clock.advance(12 + random(60)),
    };
    const act = pick([
      ...Object.keys(acts),
      "resume",
      "destroy",
      "destroy",
      "destroy",
      "destroy",
      "destroy",
      "kek",
      "encrypt",
      "decrypt",
      "decrypt",
      "advance",
    ]);
    // Few versions wait for their end, and waiting is what destruction is about.
    const wanted = act === "destroy" ? pick([pending, due, due, versions, versions]) : versions;
    const { version } = pick(wanted.length > 0 ? wanted : versions);
    const begin = now();
    const clockBegin = clock.now();
    const [outcome, result] = await (acts[act] ?? acts["encrypt"] ?? (() => Promise.resolve()))().then(
      (value) => ["done", value] as const,
      (error: unknown) => [outcomeOf(error), undefined] as const,
    );
    const clockEnd = clock.now();
    const line = { act, key, version, outcome, begin, end: now(), clockBegin, clockEnd, currentVersion, ...describe(result), name, count };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

const delay = sequence("delay");
/** As slow as a remote KEK, so that the others change what was read meanwhile. */
const kekHook = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, delay(20)));
/** On a busy machine it takes its time until so many have had the store to themselves. */
const busyTimeout = 60_000;
const opened = await Promise.all(
  Array.from({ length: Number(keysteads) }, () => openFromParts({ store, masterKeys, clock }, { kekHook, busyTimeout })),
);
await Promise.all(opened.map((keystead, index) => actRandomly(keystead, `${seed}/${String(index)}`)));
for (const keystead of opened) await keystead.close();
