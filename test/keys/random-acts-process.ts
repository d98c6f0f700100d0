import { createHash } from "node:crypto";
import { isKeysteadError } from "../../src/errors.ts";
import type { Keystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { openFromParts } from "../support/parts.ts";

/**
 * Does random lifecycle acts on shared keys from several Keysteads at once, and prints a line of JSON for each.
 * Arguments: store URL, seed, how many Keysteads, how many acts each (`25`) or for how long (`30s`).
 */
const [store = "", seed = "", keysteads = "1", times = "1"] = process.argv.slice(2);
const masterKeys = { main: { bytes: canaries.masterKey.bytes }, next: { bytes: canaries.importedKey.bytes } };
const keys = ["a", "b"];

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

async function actRandomly(keystead: Keystead, name: string): Promise<void> {
  const random = sequence(name);
  const pick = <T>(choices: readonly T[]): T => {
    const chosen = choices[random(choices.length)];
    if (chosen === undefined) throw new Error("nothing to choose from");
    return chosen;
  };
  const until = times.endsWith("s") ? now() + Number(times.slice(0, -1)) * 1000 : undefined;
  const made: { readonly plain: string; readonly sealed: string }[] = [];
  for (let count = 0; until === undefined ? count < Number(times) : now() < until; count += 1) {
    const key = pick(keys);
    const { versions, currentVersion } = await keystead.keys.show(key);
    const { version } = pick(versions);
    const acts: Record<string, () => Promise<unknown>> = {
      rotate: () => keystead.keys.rotate(key),
      later: () => keystead.keys.rotate(key, { activateAt: new Date(now() + 86_400_000) }),
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
        made.push({ plain, sealed });
        return sealed;
      },
      decrypt: async () => {
        const { plain, sealed } = pick(made.length === 0 ? [{ plain: "", sealed: "" }] : made);
        if (sealed !== "" && (await keystead.decryptText(sealed)) !== plain) throw new Error("a wrong plaintext");
      },
    };
    const act = pick([...Object.keys(acts), "resume", "destroy", "destroy", "kek", "encrypt", "decrypt", "decrypt"]);
    const begin = now();
    const [outcome, result] = await (acts[act] ?? acts["encrypt"] ?? (() => Promise.resolve()))().then(
      (value) => ["done", value] as const,
      (error: unknown) => [isKeysteadError(error) ? error.code : String(error), undefined] as const,
    );
    const status = typeof result === "object" && result !== null && "status" in result ? result.status : undefined;
    const sealed = typeof result === "string" ? result : undefined;
    process.stdout.write(
      `${JSON.stringify({ act, key, version, outcome, begin, end: now(), currentVersion, status, sealed, name, count })}\n`,
    );
  }
}

const delay = sequence("delay");
/** As slow as a remote KEK, so that the others change what was read meanwhile. */
const kekHook = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, delay(20)));
const opened = await Promise.all(Array.from({ length: Number(keysteads) }, () => openFromParts({ store, masterKeys }, { kekHook })));
await Promise.all(opened.map((keystead, index) => actRandomly(keystead, `${seed}/${String(index)}`)));
for (const keystead of opened) await keystead.close();
