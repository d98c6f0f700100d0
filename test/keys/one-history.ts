import { expect } from "vitest";
import { isKeysteadError } from "../../src/errors.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import type { VersionPhase } from "../../src/keys/version-state.ts";
import { canaries } from "../setup/canary.ts";
import { startChild } from "../support/child.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { openTestKeystead, testMasterKeys } from "../support/test-keystead.ts";

const program = new URL("random-acts-process.ts", import.meta.url);
const masterKeys = { ...testMasterKeys, next: { bytes: canaries.importedKey.bytes } };

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

/** What a child says about one act. */
interface Act {
  readonly act: string;
  readonly key: string;
  readonly version: number;
  readonly outcome: string;
  readonly begin: number;
  readonly end: number;
  readonly currentVersion?: number;
  readonly status?: string;
  readonly sealed?: string;
  readonly name: string;
  /** Which act of its Keystead this is. */
  readonly count: number;
}

/** The phase after an act on a version, as the states table has it; undefined when it is not permitted. */
function follow(phase: VersionPhase, { act, status }: Act): VersionPhase | undefined {
  const steps: Readonly<Record<string, Partial<Record<VersionPhase, VersionPhase>>>> = {
    activate: { "pre-active": "active" },
    suspend: { active: "suspended" },
    resume: { suspended: "active" },
    deactivate: { active: "deactivated", suspended: "deactivated" },
    compromise: { "pre-active": "compromised", active: "compromised", suspended: "compromised", deactivated: "compromised" },
  };
  if (act !== "destroy") return steps[act]?.[phase];
  if (status === "destroyed") return phase === "pre-active" || phase === "destruction-pending" ? "destroyed" : undefined;
  const scheduled = ["active", "suspended", "deactivated", "compromised", "destruction-pending"].includes(phase);
  return scheduled ? "destruction-pending" : undefined;
}

/** True when some order of the acts, that keeps what was over before another began, leads from the first phase to the last. */
function isLinear(first: VersionPhase, acts: readonly Act[], last: VersionPhase): boolean {
  const seen = new Set<string>();
  const search = (phase: VersionPhase, retired: VersionPhase, left: readonly Act[]): boolean => {
    if (left.length === 0) return phase === last;
    const mark = `${phase} ${retired} ${left.map(({ begin }) => begin).join()}`;
    if (seen.has(mark)) return false;
    seen.add(mark);
    const earliestEnd = Math.min(...left.map(({ end }) => end));
    return left.some((act, index) => {
      if (act.begin > earliestEnd) return false;
      const rest = left.toSpliced(index, 1);
      if (act.act === "cancel") return phase === "destruction-pending" && search(retired, retired, rest);
      const next = follow(phase, act);
      if (next === undefined) return false;
      return search(
        next,
        next === "destruction-pending" && phase !== next ? (phase === "compromised" ? phase : "deactivated") : retired,
        rest,
      );
    });
  };
  return search(first, first === "destruction-pending" ? "deactivated" : first, acts);
}

/** Two keys with versions that are current, old, waiting for their end since long, and to be active tomorrow. */
async function prepare(keystead: Keystead, clock: TestClock): Promise<void> {
  for (const key of ["a", "b"]) {
    await keystead.keys.create({ name: key, purpose: "pii" });
    for (let version = 2; version <= 12; version += 1) await keystead.keys.rotate(key);
    for (let version = 2; version <= 7; version += 1) await keystead.keys.destroy(key, version);
    await keystead.keys.rotate(key, { activateAt: new Date(clock.now() + 365 * day) });
  }
}

/**
 * Processes do everything to two keys at once: they leave one history, lose no key, and none meets an error that is not his.
 * @returns how many acts there were
 */
export async function expectOneHistory({ store, children, keysteads, acts }: RandomActs): Promise<number> {
  const options = { store, masterKeys };
  const clock = new TestClock(Date.now() - 30 * day);
  const first = await initKeystead({ ...options, clock, settings: { refreshBound: 20 } });
  await prepare(first, clock);
  await first.keks.rotate("local:main", "local:next");
  const sealedBefore = await Promise.all(["a", "b"].map((key) => first.encrypt(key, "before")));
  const before = new Map((await first.keys.list()).map((key) => [key.name, key]));
  await first.close();

  const running = Array.from({ length: children }, (_, index) =>
    startChild(program, [options.store, `seed ${String(index)}`, String(keysteads), acts]).finish(),
  );
  const log = (await Promise.all(running)).flat().map((line) => JSON.parse(line) as Act);
  expect(new Set(log.map(({ name }) => name)).size).toBe(children * keysteads);

  const expected = ["done", "KEY_STATE", "VERSION_IN_USE", "DESTRUCTION_WAITING"];
  expect(log.filter(({ outcome, act }) => !expected.includes(outcome) && !(act === "destroy" && outcome === "CONFLICT"))).toEqual([]);

  const after = await openTestKeystead(options);
  for (const name of ["a", "b"]) {
    const key = await after.keys.show(name);
    const published = log.filter(({ act, key, outcome }) => key === name && ["rotate", "later"].includes(act) && outcome === "done");
    expect(key.versions.length).toBeGreaterThanOrEqual(13 + published.length);
    expect(key.versions.map(({ version }) => version)).toEqual(key.versions.map((_, index) => index + 1));
    for (const { version, state, label } of key.versions) {
      const known = before.get(name)?.versions.find((row) => row.version === version);
      const on = log.filter((act) => act.key === name && act.version === version && act.outcome === "done" && changesState(act));
      const born: VersionPhase[] = known === undefined ? ["active", "pre-active"] : [known.state];
      expect({ label, linear: born.some((phase) => isLinear(phase, on, state)), on }).toMatchObject({ linear: true });
    }
    for (const writer of new Set(log.map((act) => act.name))) {
      const seen = log.filter((act) => act.name === writer && act.key === name).map(({ currentVersion = 0 }) => currentVersion);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    }
    const states = new Map(key.versions.map((version) => [version.label, version.state]));
    const made = log.map((act) => ({ sealed: act.sealed ?? "", plain: `${act.name} ${String(act.count)}` }));
    const all = [...sealedBefore.map((text) => ({ sealed: text, plain: "before" })), ...made];
    for (const { sealed: text, plain } of all.filter(({ sealed }) => sealed.startsWith(`ks1:${name}:`))) {
      const state = states.get(text.split(":")[2] ?? "");
      const opens = state === "active" || state === "deactivated";
      const opened = await after.decryptText(text).catch((error: unknown) => (isKeysteadError(error) ? error.code : String(error)));
      expect([text, state, opened]).toEqual([text, state, opens ? plain : "KEY_STATE"]);
    }
  }
  const keks = await after.keks.list();
  expect(keks.reduce((sum, { wraps }) => sum + wraps, 0)).toBe(4);
  const findings = await after.doctor.examine();
  expect(findings.filter(({ check, status }) => status === "failed" && check !== "keys")).toEqual([]);
  expect(log.filter(({ status }) => status === "destroyed").length).toBeGreaterThan(0);
  return log.length;
}

function changesState({ act }: Act): boolean {
  return ["activate", "suspend", "resume", "deactivate", "compromise", "destroy", "cancel"].includes(act);
}
