import type { AuditProblem } from "../audit/audit-problem.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditService } from "../keys/audit-service.ts";
import type { Background } from "../keys/background.ts";
import type { Engine } from "../keys/engine.ts";
import type { KekService } from "../keys/kek-service.ts";

/** One thing without which an engine can't do its work. */
export interface ReadinessCheck {
  readonly check: string;
  readonly ready: boolean;
  /** What is wrong, in words without secrets; absent when it is as it must be. */
  readonly cause?: string;
}

/** What readiness is seen by. */
export interface ReadinessParts {
  readonly engine: Pick<Engine, "store" | "policies">;
  readonly keks: Pick<KekService, "list">;
  readonly audit: Pick<AuditService, "problems" | "recover">;
  readonly background: Pick<Background, "problem">;
}

const patience = 2_000;

/** Looks whether an engine can answer calls now: store, KEKs, audit, who may do what, and whether it hears of changes. Never throws. */
export async function examineReadiness({ engine, keks, audit, background }: ReadinessParts): Promise<ReadinessCheck[]> {
  const look = async (check: string, examine: () => Promise<string | undefined>): Promise<ReadinessCheck> => {
    const cause = await inTime(examine).catch(wordsOf);
    return { check, ready: cause === undefined, ...(cause !== undefined && { cause }) };
  };
  return Promise.all([
    look("store", async () => {
      await engine.store.revision();
      return undefined;
    }),
    look("KEKs", async () => {
      const closed = (await keks.list()).filter((kek) => !kek.available && kek.wraps > 0);
      return closed.length === 0
        ? undefined
        : closed.map(({ uri, problem }) => `${uri} can't be opened: ${problem ?? "no cause given"}`).join("; ");
    }),
    look("audit", async () => {
      // Whoever is not ready is sent no calls, whose records would try again: it would stay so for ever.
      await audit.recover();
      const { problems } = audit;
      return problems.length === 0 ? undefined : problems.map(auditWords).join("; ");
    }),
    look("access", async () => {
      await engine.policies.snapshot();
      return undefined;
    }),
    look("changes", async () => (background.problem === undefined ? undefined : wordsOf(background.problem))),
  ]);
}

/** An answer that comes too late is none: whoever asks decides by it where to send people. */
async function inTime(examine: () => Promise<string | undefined>): Promise<string | undefined> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(() => late.resolve("no answer within 2 s"), patience);
  try {
    return await Promise.race([examine(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Journal and sinks say what the system says, and what they say themselves: names of files and conditions. A store may say anything. */
function auditWords({ where, cause }: AuditProblem): string {
  return `${where}: ${where !== "store" && cause instanceof Error ? cause.message : wordsOf(cause)}`;
}

function wordsOf(error: unknown): string {
  return error instanceof KeysteadError ? error.message : "it failed, and the cause is not one of Keystead's own";
}
