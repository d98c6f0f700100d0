import { everybody, subjectOf, subjectProblem } from "../../access/subject.ts";
import { assertArguments, flag, listOf, object, optional, text } from "../../arguments.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { StoredRecord } from "../../store/tables.ts";
import { type Act, asked, audited } from "../audited.ts";
import type { Engine } from "../engine.ts";
import { assertUnchanged, type ChangeOptions, changeOptions } from "../entity-tag.ts";
import { instant } from "../key-records.ts";
import { readPrincipal } from "./access-rows.ts";
import { assertRoles } from "./assert-roles.ts";
import { changeAccess } from "./escalation.ts";

/** What may be set of a principal; what is absent stays. */
export interface PrincipalSettings {
  /** All the roles that it has by this row. */
  readonly roles?: readonly string[];
  /** True: it may do nothing, whatever policies say, and its tokens are not good. */
  readonly disabled?: boolean;
  readonly description?: string;
}

/** What the store says about a principal. */
export interface PrincipalInfo extends Required<PrincipalSettings> {
  /** Whom it is about: `oidc:main:7f3a`, `claim:realm_access.roles=payroll`, `group:1000`. */
  readonly subject: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

const rules = {
  show: { subject: text },
  set: {
    subject: text,
    settings: object<PrincipalSettings>({ roles: optional(listOf(text)), disabled: optional(flag), description: optional(text) }),
    options: changeOptions,
  },
  remove: { subject: text, options: changeOptions },
} as const;

/** Who has which roles, and who is disabled. A principal that has no row is one by its token or claims alone. */
export class PrincipalService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Everybody of whom the store says something. */
  list(): Promise<PrincipalInfo[]> {
    return asked(this.#engine, { action: "principals.list", terms: {} }, async () =>
      (await this.#engine.store.read((tables) => tables.principals.list())).map(describe),
    );
  }

  /** One of them. @throws KeysteadError `UNKNOWN_PRINCIPAL` */
  async show(subject: string): Promise<PrincipalInfo> {
    assertArguments({ subject }, rules.show);
    return asked(this.#engine, { action: "principals.show", ...recordable(subject), terms: { subject } }, () =>
      this.#engine.store.read(async (tables) => describe(await findPrincipal(tables, subject))),
    );
  }

  /**
   * Gives roles to a principal, or disables it; one that is not known yet is entered.
   * @param subject `<source>:<id>`, `claim:NAME=VALUE` or `group:NUMBER`
   * @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_ROLE`, `PRECONDITION_FAILED`, `APPROVAL_REQUIRED`, `ACCESS_DENIED` also for roles
   *   that one gives oneself
   * @example
   * await keystead.principals.set("claim:realm_access.roles=payroll", { roles: ["encryptor"] });
   */
  async set(subject: string, settings: PrincipalSettings, options: ChangeOptions = {}): Promise<PrincipalInfo> {
    assertArguments({ subject, settings, options }, rules.set);
    const { roles, disabled, description } = settings;
    const detail = {
      ...recordable(subject).detail,
      ...(roles !== undefined && { roles: roles.join(",") }),
      ...(disabled !== undefined && { disabled }),
    };
    const row = await this.#change(
      { action: "principals.set", detail, terms: { subject, ...settings, ...options, ...(await this.#nowSaying(subject)) } },
      async (tables) => {
        assertSubject(subject);
        if (description !== undefined && (description.length > 500 || !description.isWellFormed() || /\p{Cc}/u.test(description)))
          throw new KeysteadError("INVALID_ARGUMENT", "a description has 500 characters at most and no control characters");
        const { clock, caller } = this.#engine;
        const changed = { updatedAt: clock.now(), updatedBy: subjectOf(caller.principal) };
        const values = {
          ...(roles !== undefined && { roles: JSON.stringify([...new Set(roles)]) }),
          ...(disabled !== undefined && { disabled: Number(disabled) }),
          ...(description !== undefined && { description }),
          ...changed,
        };
        const row = await tables.principals.get({ subject });
        assertUnchanged(row === undefined ? undefined : describe(row), options);
        if (row !== undefined) return tables.principals.update({ ...row, ...values });
        const fresh = { subject, roles: "[]", disabled: 0, description: "", createdAt: changed.updatedAt, createdBy: changed.updatedBy };
        return tables.principals.insert({ ...fresh, ...values });
      },
      roles,
    );
    return describe(row);
  }

  /** Removes what the store says about a principal: its roles, and that it is disabled. @throws KeysteadError `UNKNOWN_PRINCIPAL`, as {@link set} */
  async remove(subject: string, options: ChangeOptions = {}): Promise<void> {
    assertArguments({ subject, options }, rules.remove);
    const terms = { subject, ...options, ...(await this.#nowSaying(subject)) };
    await this.#change({ action: "principals.remove", ...recordable(subject), terms }, async (tables) => {
      const row = await findPrincipal(tables, subject);
      assertUnchanged(describe(row), options);
      await tables.principals.remove(row);
    });
  }

  /** What the store says of a principal that is to be changed: whoever approves of that has to see it. */
  async #nowSaying(subject: string): Promise<{ readonly before?: PrincipalInfo }> {
    const row =
      subjectProblem(subject) === undefined ? await this.#engine.store.read((tables) => tables.principals.get({ subject })) : undefined;
    return row === undefined ? {} : { before: describe(row) };
  }

  #change<T>(act: Act, work: (tables: StoreTables) => Promise<T>, roles: readonly string[] = []): Promise<T> {
    return audited(this.#engine, act, async () => {
      const result = await changeAccess(this.#engine, (tables, before) => {
        assertRoles(before, roles);
        return work(tables);
      });
      await this.#engine.policies.refresh();
      return result;
    });
  }
}

function describe(row: StoredRecord<"principals">): PrincipalInfo {
  return {
    ...readPrincipal(row),
    createdAt: instant(row.createdAt),
    createdBy: row.createdBy,
    updatedAt: instant(row.updatedAt),
    updatedBy: row.updatedBy,
  };
}

function recordable(subject: string): { readonly detail?: Readonly<Record<string, string>> } {
  return subjectProblem(subject) === undefined ? { detail: { subject } } : {};
}

/** @throws KeysteadError `INVALID_ARGUMENT` */
function assertSubject(subject: string): void {
  const problem = subjectProblem(subject);
  if (problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `principal ${problem}`);
  if (subject !== everybody && !subject.startsWith("role:")) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    "roles are given to principals, claims and groups; write a policy for a role, or for everybody",
  );
}

/** @throws KeysteadError `UNKNOWN_PRINCIPAL` */
async function findPrincipal(tables: StoreTables, subject: string): Promise<StoredRecord<"principals">> {
  const row = subjectProblem(subject) === undefined ? await tables.principals.get({ subject }) : undefined;
  if (row !== undefined) return row;
  throw new KeysteadError(
    "UNKNOWN_PRINCIPAL",
    "the store says nothing about this principal; `keystead principals list` shows of whom it does",
  );
}
