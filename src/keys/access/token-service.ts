import type { AccessScope, Caller } from "../../access/caller.ts";
import { parseCredentialScope } from "../../access/credential-scope.ts";
import { findExcess } from "../../access/excess.ts";
import { isRoleName, subjectOf } from "../../access/subject.ts";
import { anything, assertArguments, date, listOf, object, optional, text } from "../../arguments.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { StoredRecord } from "../../store/tables.ts";
import { asked, audited } from "../audited.ts";
import type { Engine } from "../engine.ts";
import { day, instant } from "../key-records.ts";
import { readToken, type TokenRecord } from "./access-rows.ts";
import { AccessSnapshot } from "./access-snapshot.ts";
import { isShortId } from "./short-id.ts";
import { assertRoles } from "./assert-roles.ts";
import { TokenAuthenticator } from "./token-authenticator.ts";
import { hashToken, newToken } from "./token-text.ts";

/** What a new token is to be. */
export interface CreateTokenInput {
  /** What it is for; 1 to 128 characters. */
  readonly name: string;
  /** Roles that it has. Policies for `token:<id>` may give it more. */
  readonly roles?: readonly string[];
  /** What it is good for at most, whatever roles and policies allow. */
  readonly scope?: AccessScope;
  /** At most 366 days from now, and no later than the token by which it is made; a day from now, or that token's end, when absent. */
  readonly expiresAt?: Date;
}

/** A token, without its secret. */
export interface TokenInfo {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly scope: AccessScope;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string;
  readonly state: "good" | "revoked" | "expired" | "of somebody who is disabled";
  readonly revokedAt?: string;
  readonly revokedBy?: string;
}

/** A token that was just made. */
export interface CreatedToken extends TokenInfo {
  /** The token itself: given once, and kept nowhere. */
  readonly token: string;
}

/** Days that a token lasts: when nobody says, and at most. Rows of those that ended so long ago are dropped. */
const lifetimeDays = { usual: 1, most: 366, keptAfter: 30 } as const;

const rules = {
  create: {
    input: object<CreateTokenInput>({
      name: text,
      roles: optional(listOf(text)),
      scope: optional(anything),
      expiresAt: optional(date),
    }),
  },
  revoke: { id: text },
} as const;

/** API tokens: random, stored as a hash, bounded in what and how long they are good for. */
export class TokenService {
  readonly #engine: Engine;
  readonly #authenticator: TokenAuthenticator;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#authenticator = new TokenAuthenticator(engine);
  }

  /** {@link TokenAuthenticator.authenticate} */
  get authenticator(): TokenAuthenticator {
    return this.#authenticator;
  }

  /**
   * Makes a token. Nobody gives a token more than he may do himself, and it ends with the token by which it was made.
   * @returns with the token itself, which is not kept
   * @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_ROLE`, `ACCESS_DENIED` naming an action that would be too much
   * @example
   * const { token } = await keystead.tokens.create({ name: "payroll import", roles: ["encryptor"], scope: { keys: ["payroll/**"] } });
   */
  async create(input: CreateTokenInput): Promise<CreatedToken> {
    assertArguments({ input }, rules.create);
    const { clock, random, store, policies, caller } = this.#engine;
    const { id, token } = newToken(random);
    const { name, roles = [] } = input;
    const detail = { roles: roles.filter(isRoleName).join(",") };
    const act = { action: "tokens.create", detail, terms: { ...input } };
    const create = async (): Promise<StoredRecord<"tokens">> => {
      const scope = parseCredentialScope(input.scope ?? {});
      assertName(name);
      const now = clock.now();
      const expiresAt = expiryOf(input.expiresAt, now);
      const row = await store.transaction(async (tables) => {
        const snapshot = await AccessSnapshot.read(tables);
        assertRoles(snapshot, roles);
        const maker = caller.principal.source === "token" ? snapshot.tokens.get(caller.principal.id) : undefined;
        const grantee: Caller = { principal: { source: "token", id }, roles, scope };
        this.#assertNoExcess(snapshot, grantee);
        await dropEnded(tables, snapshot, now);
        return tables.tokens.insert({
          id,
          hash: hashToken(token),
          name,
          roles: JSON.stringify([...new Set(roles)]),
          scope: JSON.stringify(scope),
          createdAt: now,
          createdBy: subjectOf(caller.principal),
          expiresAt: withinMaker(expiresAt, maker?.expiresAt, input.expiresAt !== undefined),
          revokedAt: null,
          revokedBy: null,
        });
      });
      await policies.refresh();
      return row;
    };
    const created = await audited(this.#engine, act, create, () => ({ detail: { ...detail, token: id } }));
    return { ...(await this.#describe(created)), token };
  }

  /** Every token, the newest first, without secrets. */
  async list(): Promise<TokenInfo[]> {
    const rows = await asked(this.#engine, { action: "tokens.list", terms: {} }, () =>
      this.#engine.store.read((tables) => tables.tokens.list()),
    );
    const described = await Promise.all(rows.map((row) => this.#describe(row)));
    return described.sort((a, b) => (a.createdAt === b.createdAt ? 0 : a.createdAt < b.createdAt ? 1 : -1));
  }

  /**
   * Ends a token, and those that were made by it: in this process at once, in others within the refresh bound.
   * @throws KeysteadError `UNKNOWN_TOKEN`
   */
  async revoke(id: string): Promise<TokenInfo> {
    assertArguments({ id }, rules.revoke);
    const { clock, store, policies, caller } = this.#engine;
    const known = isShortId(id);
    const revoked = await audited(
      this.#engine,
      { action: "tokens.revoke", ...(known && { detail: { token: id } }), terms: { id } },
      async () => {
        const row = await store.transaction(async (tables) => {
          const row = known ? await tables.tokens.get({ id }) : undefined;
          if (row === undefined) throw new KeysteadError("UNKNOWN_TOKEN", "no token has this id; `keystead tokens list` shows them");
          if (row.revokedAt !== null) return row;
          return tables.tokens.update({ ...row, revokedAt: clock.now(), revokedBy: subjectOf(caller.principal) });
        });
        await policies.refresh();
        return row;
      },
    );
    return this.#describe(revoked);
  }

  /** @throws KeysteadError `ACCESS_DENIED` */
  #assertNoExcess(snapshot: AccessSnapshot, grantee: Caller): void {
    const { access, policies, caller } = this.#engine;
    // Somebody else's access control knows nothing of roles: it decides about the creation alone.
    if (access !== policies) return;
    const action = findExcess(snapshot.standingOf(caller), snapshot.standingOf(grantee));
    if (action === undefined) return;
    throw new KeysteadError(
      "ACCESS_DENIED",
      `the token could do ${action}, and who makes it may not do all of that himself: give it fewer roles, or a narrower scope`,
    );
  }

  async #describe(row: StoredRecord<"tokens">): Promise<TokenInfo> {
    const snapshot = await this.#engine.policies.snapshot();
    return describeToken(readToken(row), snapshot, this.#engine.clock.now());
  }
}

function describeToken({ hash: _, ...token }: TokenRecord, snapshot: AccessSnapshot, now: number): TokenInfo {
  const { id, name, roles, scope, createdBy, revokedAt, revokedBy } = token;
  const problem = snapshot.tokenProblem(id, now);
  return {
    id,
    name,
    roles,
    scope,
    createdAt: instant(token.createdAt),
    createdBy,
    expiresAt: instant(token.expiresAt),
    state: problem === "unknown" ? "revoked" : (problem ?? "good"),
    ...(revokedAt !== null && { revokedAt: instant(revokedAt) }),
    ...(revokedBy !== null && { revokedBy }),
  };
}

/** @throws KeysteadError `INVALID_ARGUMENT` */
function expiryOf(expiresAt: Date | undefined, now: number): number {
  const instant = expiresAt?.getTime() ?? now + lifetimeDays.usual * day;
  if (instant > now && instant <= now + lifetimeDays.most * day) return instant;
  throw new KeysteadError("INVALID_ARGUMENT", `a token ends between now and ${String(lifetimeDays.most)} days from now`);
}

/**
 * @param isWanted true for an end that somebody asked for: another one would surprise him
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
function withinMaker(expiresAt: number, maker: number | undefined, isWanted: boolean): number {
  if (maker === undefined || expiresAt <= maker) return expiresAt;
  if (!isWanted) return maker;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `a token ends with the one by which it is made, at ${instant(maker)}: give an end until then, or make it by other means`,
  );
}

function assertName(name: string): void {
  if (name.length >= 1 && name.length <= 128 && name.isWellFormed() && !/[\p{Cc}\u2028\u2029]/u.test(name)) return;
  throw new KeysteadError("INVALID_ARGUMENT", "a token's name has 1 to 128 characters and no control characters");
}

/** What ended long ago, and the tokens made by it, which ended before. The audit keeps the acts. */
async function dropEnded(tables: StoreTables, snapshot: AccessSnapshot, now: number): Promise<void> {
  for (const { id, expiresAt } of snapshot.tokens.values()) {
    if (expiresAt + lifetimeDays.keptAfter * day > now) continue;
    const row = await tables.tokens.get({ id });
    if (row !== undefined) await tables.tokens.remove(row);
  }
}
