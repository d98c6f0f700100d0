import type { AccessScope } from "../../access/caller.ts";
import { subjectOf } from "../../access/subject.ts";
import { asked } from "../audited.ts";
import type { Engine } from "../engine.ts";

/** Whom the engine takes a caller for. */
export interface CallerInfo {
  /** `<source>:<id>`, as policies name it. */
  readonly principal: string;
  /** What people call it; decides nothing. */
  readonly name?: string;
  /** Roles that its credential carries, and those that the store gives it. */
  readonly roles: readonly string[];
  /** What its credential is good for at most. */
  readonly scope: AccessScope;
}

/** Says whom the engine takes a caller for. @throws KeysteadError `ACCESS_DENIED` for one that is disabled */
export function whoami(engine: Engine): Promise<CallerInfo> {
  const { caller, policies } = engine;
  return asked(engine, { action: "access.whoami", terms: {} }, async () => {
    const { names } = (await policies.snapshot()).subjectsOf(caller);
    const { principal, scope = {} } = caller;
    return {
      principal: subjectOf(principal),
      ...(principal.name !== undefined && { name: principal.name }),
      roles: [...names].filter((name) => name.startsWith("role:")).map((name) => name.slice("role:".length)),
      scope,
    };
  });
}
