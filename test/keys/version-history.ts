import type { VersionPhase } from "../../src/keys/version-state.ts";

/** What a process says about one act. Instants of the processes' own work are real, those of keys are of the clock that they share. */
export interface Act {
  readonly act: string;
  readonly key: string;
  readonly version: number;
  readonly outcome: string;
  readonly begin: number;
  readonly end: number;
  /** What the shared clock said before and after. */
  readonly clockBegin: number;
  readonly clockEnd: number;
  readonly currentVersion?: number;
  /** Of a destruction: `scheduled` with `executeAfter`, or `destroyed` with what its certificate says. */
  readonly status?: string;
  readonly executeAfter?: number;
  readonly scheduledAt?: number;
  readonly executedAt?: number;
  readonly sealed?: string;
  /** Who sealed what this act opened. */
  readonly sealer?: string;
  readonly name: string;
  /** Which act of its Keystead this is. */
  readonly count: number;
}

/** A part of an act that tells what becomes of a version, and between which real moments. */
export type Step = Pick<Act, "act" | "begin" | "end" | "status">;

const steps: Readonly<Record<string, Partial<Record<VersionPhase, VersionPhase>>>> = {
  activate: { "pre-active": "active" },
  suspend: { active: "suspended" },
  resume: { suspended: "active" },
  deactivate: { active: "deactivated", suspended: "deactivated" },
  compromise: { "pre-active": "compromised", active: "compromised", suspended: "compromised", deactivated: "compromised" },
};

/** True for an act that changed the state of its version. */
export function changesState({ act, outcome }: Act): boolean {
  if (act === "activate" && outcome === "STOPPED") return true;
  return outcome === "done" && (Object.hasOwn(steps, act) || act === "destroy" || act === "cancel");
}

/** The phase after an act on a version, as the states table has it; undefined when it is not permitted. */
function follow(phase: VersionPhase, { act, status }: Step): VersionPhase | undefined {
  if (act !== "destroy") return steps[act]?.[phase];
  if (status === "destroyed") return phase === "pre-active" || phase === "destruction-pending" ? "destroyed" : undefined;
  const scheduled = ["active", "suspended", "deactivated", "compromised", "destruction-pending"].includes(phase);
  return scheduled ? "destruction-pending" : undefined;
}

/** True when some order of the acts, that keeps what was over before another began, leads from the first phase to the last. */
export function isLinear(first: VersionPhase, acts: readonly Step[], last: VersionPhase): boolean {
  const seen = new Set<string>();
  const search = (phase: VersionPhase, retired: VersionPhase, left: readonly Step[]): boolean => {
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
