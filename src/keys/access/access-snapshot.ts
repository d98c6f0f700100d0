import type { Caller } from "../../access/caller.ts";
import type { Subjects } from "../../access/decide.ts";
import type { Standing } from "../../access/excess.ts";
import type { Policy } from "../../access/policy.ts";
import { anonymousPrincipal, type Principal } from "../../access/principal.ts";
import { rolePolicies } from "../../access/roles.ts";
import { everybody, ownSubjects, parsePrincipal, subjectOf } from "../../access/subject.ts";
import type { StoreTables } from "../../store/store.ts";
import { type PrincipalRecord, readPolicy, readPrincipal, readToken, type TokenRecord } from "./access-rows.ts";

/** Why a token is not good. */
type TokenProblem = "unknown" | "revoked" | "expired" | "of somebody who is disabled";

/** What rows say of a token, whatever the time is. */
interface JudgedToken {
  readonly until: number;
  readonly problem?: TokenProblem;
}

/** What the store says about who may do what, at one moment. */
export class AccessSnapshot {
  /** Of the built-in roles, and those of the store. */
  readonly policies: readonly Policy[];
  readonly tokens: ReadonlyMap<string, TokenRecord>;
  readonly principals: ReadonlyMap<string, PrincipalRecord>;
  /** True when some policy goes by the purpose of a key. */
  readonly asksPurpose: boolean;
  readonly #judged = new Map<string, JudgedToken>();

  constructor(policies: readonly Policy[], principals: readonly PrincipalRecord[], tokens: readonly TokenRecord[]) {
    this.policies = [...rolePolicies, ...policies];
    this.principals = new Map(principals.map((row) => [row.subject, row]));
    this.tokens = new Map(tokens.map((token) => [token.id, token]));
    this.asksPurpose = policies.some(({ scope }) => scope.purposes !== undefined);
  }

  static async read(tables: StoreTables): Promise<AccessSnapshot> {
    const policies = (await tables.policies.list()).map(readPolicy);
    const principals = (await tables.principals.list()).map(readPrincipal);
    return new AccessSnapshot(policies, principals, (await tables.tokens.list()).map(readToken));
  }

  /** Everything that a caller is: itself, and the roles that rows give it. */
  subjectsOf(caller: Caller): Subjects {
    return { ...this.#withRoles(ownSubjects(caller)), ...(caller.scope !== undefined && { scope: caller.scope }) };
  }

  /** As {@link subjectsOf}, for whoever a text names, and is `also` something: a token with what it carries and what is wrong with it, a role, a group. */
  subjectsNamed(subject: string, also: readonly string[], now: number): Subjects {
    const principal = parsePrincipal(subject);
    const token = principal?.source === "token" ? this.tokens.get(principal.id) : undefined;
    const caller = token === undefined ? { principal: principal ?? anonymousPrincipal } : this.callerOf(token);
    const { scope } = this.subjectsOf(caller);
    const own = principal === undefined ? [subject, everybody] : ownSubjects(caller);
    const problem = principal?.source === "token" ? this.tokenProblem(principal.id, now) : undefined;
    return {
      ...this.#withRoles([...own, ...also]),
      ...(problem !== undefined && { barred: `the token is ${problem}` }),
      ...(scope !== undefined && { scope }),
    };
  }

  /** A caller with the policies that count for it. */
  standingOf(caller: Caller): Standing {
    return { policies: this.policies, subjects: this.subjectsOf(caller) };
  }

  /** True for a role that Keystead has, or that some policy speaks of. */
  hasRole(name: string): boolean {
    return this.policies.some(({ subject }) => subject === `role:${name}`);
  }

  /** The caller that a token speaks for. */
  callerOf({ id, name, roles, scope }: TokenRecord): Caller {
    return { principal: { source: "token", id, name }, roles, scope };
  }

  /**
   * Why a token is not good; undefined when it is. It ends with the token that made it, and stops while who made it is disabled: what was
   * stolen must not live on in what it made.
   */
  tokenProblem(id: string, now: number): TokenProblem | undefined {
    let judged = this.#judged.get(id);
    if (judged === undefined) {
      judged = this.#judge(id);
      if (this.tokens.has(id)) this.#judged.set(id, judged);
    }
    return judged.problem ?? (now >= judged.until ? "expired" : undefined);
  }

  /** True for who may do nothing, whatever the time is: one that is disabled, a token that is not good, or whose maker is disabled. */
  isBarred(caller: Caller): boolean {
    const { source, id } = caller.principal;
    if (source === "token" && this.tokenProblem(id, Number.NEGATIVE_INFINITY) !== undefined) return true;
    return ownSubjects(caller).some((subject) => this.isDisabled(subject));
  }

  isDisabled(subject: string): boolean {
    return this.principals.get(subject)?.disabled === true;
  }

  /** Who stands behind a principal: of a token, who made it, or made the token that made it. */
  personOf(principal: Principal): string {
    if (principal.source !== "token") return subjectOf(principal);
    return this.#chain(principal.id).at(-1)?.createdBy ?? subjectOf(principal);
  }

  #judge(id: string): JudgedToken {
    const chain = this.#chain(id);
    const until = Math.min(...chain.map(({ expiresAt }) => expiresAt));
    const oldest = chain.at(-1)?.createdBy ?? "";
    const isDisabled = [...chain.map((token) => `token:${token.id}`), oldest].some((name) => this.isDisabled(name));
    if (chain.length === 0 || parsePrincipal(oldest)?.source === "token") return { until, problem: "unknown" };
    if (chain.some(({ revokedAt }) => revokedAt !== null)) return { until, problem: "revoked" };
    return isDisabled ? { until, problem: "of somebody who is disabled" } : { until };
  }

  #withRoles(own: readonly string[]): Subjects {
    const rows = own.map((name) => this.principals.get(name)).filter((row) => row !== undefined);
    const names = new Set([...own, ...rows.flatMap((row) => row.roles.map((role) => `role:${role}`))]);
    return rows.some((row) => row.disabled) ? { names, barred: "the principal is disabled" } : { names };
  }

  /** A token, the token that made it, and so on. */
  #chain(id: string): readonly TokenRecord[] {
    const chain: TokenRecord[] = [];
    for (let token = this.tokens.get(id); token !== undefined && !chain.includes(token);) {
      chain.push(token);
      const maker = parsePrincipal(token.createdBy);
      token = maker?.source === "token" ? this.tokens.get(maker.id) : undefined;
    }
    return chain;
  }
}
