import { join } from "node:path";
import { expect } from "vitest";
import { isKeysteadError } from "../../src/errors.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import type { KeyInfo, VersionInfo } from "../../src/keys/key-records.ts";
import { canaries } from "../setup/canary.ts";
import { startChild } from "../support/child.ts";
import { SharedClock } from "../support/shared-clock.ts";
import { day } from "../support/test-clock.ts";
import { openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";
import { type Act, changesState, isLinear, type Step } from "./version-history.ts";

const program = new URL("random-acts-process.ts", import.meta.url);
const masterKeys = { ...testMasterKeys, next: { bytes: canaries.importedKey.bytes } };
const waiting = 2 * day;

/** Who acts, where, and for how long. */
export interface RandomActs {
  /** URL of a store that is not there yet. */
  readonly store: string;
  /** Processes. */
  readonly children: number;
  /** Keysteads in each of them. */
  readonly keysteads: number;
  /** Acts of each Keystead, like `25`, or for how long, like `30s`. */
  readonly acts: string;
}

/** What came of it. */
export interface OneHistory {
  readonly acts: number;
  /** Days by which the clock that all share was moved on meanwhile. */
  readonly days: number;
  /** Destructions that were scheduled, waited for, and executed meanwhile. */
  readonly destroyed: number;
  /** Versions that became active because their date came meanwhile. */
  readonly activated: number;
  /** Acts that met a version which had expired meanwhile. */
  readonly expired: number;
  /** Opened texts that another process had sealed. */
  readonly foreign: number;
}

/** Two keys with versions that are current, old, waiting for their end since long, and to be active in some days. */
async function prepare(keystead: Keystead, clock: SharedClock): Promise<void> {
  for (const key of ["a", "b"]) {
    await keystead.keys.create({ name: key, purpose: "pii" });
    for (let version = 2; version <= 12; version += 1) await keystead.keys.rotate(key);
    for (const version of [2, 3]) await keystead.keys.destroy(key, version);
  }
  clock.advance(72);
  for (const key of ["a", "b"]) {
    for (const days of [1, 2, 3, 9]) await keystead.keys.rotate(key, { activateAt: new Date(clock.now() + days * day) });
  }
}

/** True when the clock was moved on during an act. */
function sawAdvance({ begin, end, clockBegin, clockEnd }: Act): boolean {
  return clockEnd - clockBegin - (end - begin) > day / 48;
}

/** By outcome, whether an act may have it. What is not here may not be. */
function excuses(log: readonly Act[], keys: ReadonlyMap<string, KeyInfo>, dates: ReadonlyMap<string, ReadonlySet<number>>) {
  const expired = ({ key, clockEnd }: Act): boolean =>
    (keys.get(key)?.versions ?? []).some(({ expiresAt }) => expiresAt !== undefined && Date.parse(expiresAt) <= clockEnd);
  const rules: Readonly<Record<string, (act: Act) => boolean>> = {
    done: () => true,
    KEY_STATE: () => true,
    VERSION_IN_USE: () => true,
    STOPPED: ({ act }) => ["rotate", "short", "activate"].includes(act),
    CONFLICT: ({ act }) => act === "destroy",
    DESTRUCTION_WAITING: (act) => [...(dates.get(nameOf(act)) ?? [])].some((date) => act.clockBegin < date),
    KEY_VERSION_EXPIRED: (act) => act.act === "encrypt" && expired(act),
    // A clock that jumps ends leases, also that of the key that signs certificates, and what was to come is in the past.
    KEY_LEASE_EXPIRED: (act) => ["encrypt", "decrypt", "destroy"].includes(act.act) && sawAdvance(act),
    INVALID_ARGUMENT: (act) => ["short", "later"].includes(act.act) && sawAdvance(act),
  };
  return log.filter((act) => rules[act.outcome]?.(act) !== true);
}

function nameOf({ key, version }: Pick<Act, "key" | "version">): string {
  return `${key}/${String(version)}`;
}

/** The process of a Keystead. */
function processOf(name: string): string {
  return name.slice(0, name.indexOf("/"));
}

/** When each version's destruction may have been due: every date that an act or the beginning gave it. */
function destructionDates(log: readonly Act[], before: ReadonlyMap<string, KeyInfo>): Map<string, Set<number>> {
  const dates = new Map<string, Set<number>>();
  const note = (name: string, date: number): unknown => dates.set(name, (dates.get(name) ?? new Set()).add(date));
  for (const [key, { versions }] of before) {
    for (const { version, destroyAt } of versions) if (destroyAt !== undefined) note(nameOf({ key, version }), Date.parse(destroyAt));
  }
  for (const act of log) if (act.executeAfter !== undefined) note(nameOf(act), act.executeAfter);
  return dates;
}

/** Each destruction waited as long as it had to, by the clock that all share. @returns those that were scheduled by an act */
function expectWaited(log: readonly Act[], dates: ReadonlyMap<string, ReadonlySet<number>>): number {
  for (const act of log) {
    const { clockBegin, clockEnd, executeAfter, scheduledAt, executedAt } = act;
    if (executeAfter !== undefined) {
      // Another one who scheduled it a moment before gave the date.
      const made = log.some((other) => nameOf(other) === nameOf(act) && isWithin(other, executeAfter - waiting));
      expect({ act, made }).toMatchObject({ made: true });
    }
    if (executedAt === undefined) continue;
    expect({ act, ok: clockBegin <= executedAt && executedAt <= clockEnd }).toMatchObject({ ok: true });
    if (scheduledAt === undefined) continue;
    const waited = executedAt >= scheduledAt + waiting && dates.get(nameOf(act))?.has(scheduledAt + waiting) === true;
    expect({ act, waited }).toMatchObject({ waited: true });
  }
  const scheduled = new Set(log.flatMap((act) => (act.executeAfter === undefined ? [] : [`${nameOf(act)} ${String(act.executeAfter)}`])));
  return log.filter((act) => act.scheduledAt !== undefined && scheduled.has(`${nameOf(act)} ${String(act.scheduledAt + waiting)}`)).length;
}

function isWithin({ act, clockBegin, clockEnd }: Act, instant: number): boolean {
  return act === "destroy" && clockBegin <= instant && instant <= clockEnd;
}

/** The activations of versions whose date came, by version: nobody asks for them, any process does it from then on. */
async function settled(keystead: Keystead, log: readonly Act[], keys: ReadonlyMap<string, KeyInfo>): Promise<Map<string, Step[]>> {
  const activations = await keystead.audit.show({ action: "keys.activate", limit: Infinity });
  const moments = log.flatMap(({ begin, end, clockBegin, clockEnd }) => [
    { real: begin, clock: clockBegin },
    { real: end, clock: clockEnd },
  ]);
  const found = new Map<string, Step[]>();
  for (const { key, version: label, reason } of activations.filter((record) => record["reason"] === "activation date")) {
    const version = keys.get(String(key))?.versions.find((candidate) => candidate.label === label);
    const date = Date.parse(version?.activateAt ?? "");
    expect({ label, reason, date }).toMatchObject({ date: expect.any(Number) as number });
    const begin = moments.reduce((latest, { real, clock }) => (clock < date ? Math.max(latest, real) : latest), 0);
    const name = nameOf({ key: String(key), version: version?.version ?? 0 });
    found.set(name, [...(found.get(name) ?? []), { act: "activate", begin, end: Number.POSITIVE_INFINITY }]);
  }
  return found;
}

/** The versions of a key went from one state to the next as the states table has it, whatever was done at once. */
function expectLinear(
  name: string,
  versions: readonly VersionInfo[],
  before: KeyInfo | undefined,
  steps: (version: number) => Step[],
): void {
  for (const { version, state, label, activateAt } of versions) {
    const born = before?.versions.find((row) => row.version === version)?.state ?? (activateAt === undefined ? "active" : "pre-active");
    const on = steps(version);
    expect({ name, label, born, state, linear: isLinear(born, on, state), on }).toMatchObject({ linear: true });
  }
}

/**
 * Processes do everything to two keys at once while the clock that they share is moved on by days: they leave one history, lose no key,
 * and none meets an error that is not his.
 */
export async function expectOneHistory({ store, children, keysteads, acts }: RandomActs): Promise<OneHistory> {
  const clockFile = join(temporaryFolder(), "clock");
  const clock = new SharedClock(clockFile);
  const options = { store, masterKeys, clock };
  const first = await initKeystead({ ...options, settings: { refreshBound: 20, destructionWaitingDays: waiting / day } });
  await prepare(first, clock);
  await first.keks.rotate("local:main", "local:next");
  const sealedBefore = await Promise.all(["a", "b"].map((key) => first.encrypt(key, "before")));
  const before = new Map((await first.keys.list()).map((key) => [key.name, key]));
  await first.close();
  const [begin, clockBegin] = [Date.now(), clock.now()];

  const running = Array.from({ length: children }, (_, index) =>
    startChild(program, [options.store, clockFile, `seed ${String(index)}`, String(keysteads), acts]).finish(),
  );
  const log = (await Promise.all(running)).flat().map((line) => JSON.parse(line) as Act);
  expect(new Set(log.map(({ name }) => name)).size).toBe(children * keysteads);
  const days = Math.round((clock.now() - clockBegin - (Date.now() - begin)) / day);

  const end = clock.now();
  const after = await openTestKeystead(options);
  const keys = new Map(await Promise.all(["a", "b"].map(async (name) => [name, await after.keys.show(name)] as const)));
  const dates = destructionDates(log, before);
  expect(excuses(log, keys, dates)).toEqual([]);
  const destroyed = expectWaited(log, dates);
  const activations = await settled(after, log, keys);
  for (const [name, key] of keys) {
    const mine = log.filter((act) => act.key === name);
    const published = mine.filter(({ act, outcome }) => ["rotate", "short", "later"].includes(act) && outcome === "done");
    expect(key.versions.length).toBeGreaterThanOrEqual((before.get(name)?.versions.length ?? 0) + published.length);
    expect(key.versions.map(({ version }) => version)).toEqual(key.versions.map((_, index) => index + 1));
    expectLinear(name, key.versions, before.get(name), (version) => [
      ...mine.filter((act) => act.version === version && changesState(act)),
      ...(activations.get(nameOf({ key: name, version })) ?? []),
    ]);
    expect(key.versions.filter(({ state, activateAt }) => state === "pre-active" && Date.parse(activateAt ?? "") <= end)).toEqual([]);
    for (const writer of new Set(log.map((act) => act.name))) {
      const seen = mine.filter((act) => act.name === writer).map(({ currentVersion = 0 }) => currentVersion);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    }
    const byLabel = new Map(key.versions.map((version) => [version.label, version]));
    const made = mine.map((act) => ({ sealed: act.sealed ?? "", plain: `${act.name} ${String(act.count)}`, clockBegin: act.clockBegin }));
    const all = [...sealedBefore.map((sealed) => ({ sealed, plain: "before", clockBegin: 0 })), ...made];
    for (const { sealed: text, plain, clockBegin: sealedFrom } of all.filter(({ sealed }) => sealed.startsWith(`ks1:${name}:`))) {
      const { state, expiresAt } = byLabel.get(text.split(":")[2] ?? "") ?? {};
      const opens = state === "active" || state === "deactivated";
      const opened = await after.decryptText(text).catch((error: unknown) => (isKeysteadError(error) ? error.code : String(error)));
      expect([text, state, opened]).toEqual([text, state, opens ? plain : "KEY_STATE"]);
      if (expiresAt !== undefined) expect(sealedFrom).toBeLessThan(Date.parse(expiresAt));
    }
  }
  const keks = await after.keks.list();
  expect(keks.reduce((sum, { wraps }) => sum + wraps, 0)).toBe(4);
  const findings = await after.doctor.examine();
  expect(findings.filter(({ check, status }) => status === "failed" && check !== "keys")).toEqual([]);
  return {
    acts: log.length,
    days,
    destroyed,
    activated: activations.size,
    expired: log.filter(({ outcome }) => outcome === "KEY_VERSION_EXPIRED").length,
    foreign: log.filter(({ sealer, name }) => sealer !== undefined && processOf(sealer) !== processOf(name)).length,
  };
}
