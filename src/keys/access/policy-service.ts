import { hash } from "node:crypto";
import { isActionName } from "../../access/actions.ts";
import { explain, type Explanation } from "../../access/explain.ts";
import { parsePolicy, type Policy, type PolicyInput } from "../../access/policy.ts";
import { builtInRoles, isBuiltInRole } from "../../access/roles.ts";
import { subjectOf, subjectProblem } from "../../access/subject.ts";
import { anything, assertArguments, listOf, object, optional, recordOf, text } from "../../arguments.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { StoredRecord } from "../../store/tables.ts";
import { type Act, asked, audited } from "../audited.ts";
import type { Engine } from "../engine.ts";
import { assertUnchanged, type ChangeOptions, changeOptions } from "../entity-tag.ts";
import { instant, lookUpKey } from "../key-records.ts";
import { readPolicy } from "./access-rows.ts";
import { changeAccess } from "./escalation.ts";
import { newShortId, isShortId } from "./short-id.ts";

/** A policy as it stands in the store. */
export interface PolicyInfo extends PolicyInput {
  readonly id: string;
  readonly description: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** A role: of Keystead, or one that policies speak of. */
export interface RoleInfo {
  readonly name: string;
  readonly builtIn: boolean;
  /** What it is for; empty for one that only policies know. */
  readonly does: string;
  /** Patterns that a role of Keystead allows, to everything. */
  readonly actions: readonly string[];
  /** Ids of the policies of this store that speak of it. */
  readonly policies: readonly string[];
}

/** What an explanation is about. */
export interface ExplainOptions {
  /** Name or alias of a key. */
  readonly key?: string;
  readonly purpose?: string;
  readonly dataset?: string;
  readonly context?: Readonly<Record<string, string>>;
  /** What the principal is besides: `claim:NAME=VALUE`, `group:NUMBER`, `role:NAME`. */
  readonly also?: readonly string[];
}

/** Longest list of actions, and longest scope, that a record tells word for word. */
const longestDetail = 1024;

const rules = {
  show: { id: text },
  create: { input: anything },
  set: { id: text, input: anything, options: changeOptions },
  remove: { id: text, options: changeOptions },
  explain: {
    principal: text,
    action: text,
    options: object<ExplainOptions>({
      key: optional(text),
      purpose: optional(text),
      dataset: optional(text),
      context: optional(recordOf(text)),
      also: optional(listOf(text)),
    }),
  },
} as const;

/** Who may do what: rows of the store, which count in every process within the refresh bound. */
export class PolicyService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every policy of the store, the oldest first. Those that the built-in roles are: {@link roles}. */
  list(): Promise<PolicyInfo[]> {
    return asked(this.#engine, { action: "policies.list", terms: {} }, async () => {
      const rows = await this.#engine.store.read((tables) => tables.policies.list());
      return rows.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1)).map(describe);
    });
  }

  /** Every role: those of Keystead, and those that policies speak of. */
  roles(): Promise<RoleInfo[]> {
    return asked(this.#engine, { action: "policies.list", terms: {} }, async () => {
      const rows = (await this.#engine.store.read((tables) => tables.policies.list())).filter(({ subject }) => subject.startsWith("role:"));
      const own = [...new Set(rows.map(({ subject }) => subject.slice(5)))].filter((name) => !isBuiltInRole(name)).sort();
      const named = [...builtInRoles, ...own.map((name) => ({ name, does: "", actions: [] }))];
      return named.map((role) => ({
        ...role,
        builtIn: isBuiltInRole(role.name),
        policies: rows.filter(({ subject }) => subject === `role:${role.name}`).map(({ id }) => id),
      }));
    });
  }

  /** One policy. @throws KeysteadError `UNKNOWN_POLICY` */
  async show(id: string): Promise<PolicyInfo> {
    assertArguments({ id }, rules.show);
    return asked(this.#engine, { action: "policies.show", ...recordable(id), terms: { id } }, () =>
      this.#engine.store.read(async (tables) => describe(await findPolicy(tables, id))),
    );
  }

  /**
   * Makes a policy.
   * @throws KeysteadError `INVALID_ARGUMENT`, `ACCESS_DENIED` also for one that gives rights to who makes it, `APPROVAL_REQUIRED`
   * @example
   * await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions: ["data.encrypt"], keys: ["payroll/**"] });
   */
  async create(input: PolicyInput): Promise<PolicyInfo> {
    assertArguments({ input }, rules.create);
    const policy = parsePolicy(input);
    const id = newShortId(this.#engine.random);
    const detail = detailOf(policy);
    const created = await this.#change(
      { action: "policies.create", detail, terms: { ...input } },
      (tables, now, by) =>
        tables.policies.insert({ id, ...columnsOf(policy), createdAt: now, createdBy: by, updatedAt: now, updatedBy: by }),
      () => ({ detail: { ...detail, policy: id } }),
    );
    return describe(created);
  }

  /**
   * Replaces what a policy says.
   * @throws KeysteadError `UNKNOWN_POLICY`, `PRECONDITION_FAILED` when it is not what `ifMatch` says any more, and as {@link create}
   */
  async set(id: string, input: PolicyInput, options: ChangeOptions = {}): Promise<PolicyInfo> {
    assertArguments({ id, input, options }, rules.set);
    const policy = parsePolicy(input);
    const act = { action: "policies.set", detail: { ...recordable(id).detail, ...detailOf(policy) } };
    const terms = { id, ...input, ...options, ...(await this.#nowSaying(id)) };
    const changed = await this.#change({ ...act, terms }, async (tables, now, by) => {
      const row = await findPolicy(tables, id, options);
      return tables.policies.update({ ...row, ...columnsOf(policy), updatedAt: now, updatedBy: by });
    });
    return describe(changed);
  }

  /** Removes a policy. @throws KeysteadError as {@link set} */
  async remove(id: string, options: ChangeOptions = {}): Promise<void> {
    assertArguments({ id, options }, rules.remove);
    const terms = { id, ...options, ...(await this.#nowSaying(id)) };
    await this.#change({ action: "policies.remove", ...recordable(id), terms }, async (tables) => {
      await tables.policies.remove(await findPolicy(tables, id, options));
    });
  }

  /**
   * Says whether somebody may do something now, and by which policies.
   * @param principal `<source>:<id>`, `role:NAME`, `claim:NAME=VALUE`, `group:NUMBER`
   * @throws KeysteadError `INVALID_ARGUMENT`
   * @example
   * const { outcome, reason } = await keystead.policies.explain("os-user:anna", "data.decrypt", { key: "payroll/iban" });
   */
  async explain(principal: string, action: string, options: ExplainOptions = {}): Promise<Explanation> {
    assertArguments({ principal, action, options }, rules.explain);
    const { also = [], key: nameOrAlias, ...place } = options;
    const { store, policies, clock } = this.#engine;
    return asked(this.#engine, { action: "policies.explain", terms: { principal, action, ...options } }, async () => {
      for (const subject of [principal, ...also]) {
        const problem = subjectProblem(subject);
        if (problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `principal ${problem}`);
      }
      if (!isActionName(action))
        throw new KeysteadError("INVALID_ARGUMENT", "no action has this name; `keystead roles list` shows what there is");
      const found = nameOrAlias === undefined ? undefined : await store.read((tables) => lookUpKey(tables, nameOrAlias));
      const key = found?.name ?? nameOrAlias;
      const snapshot = await policies.snapshot();
      const now = clock.now();
      const resource = await policies.complete({ ...place, ...(key !== undefined && { key }) });
      const explained = explain(snapshot.policies, snapshot.subjectsNamed(principal, also, now), action, resource, now);
      return key === undefined || found !== undefined
        ? explained
        : { ...explained, missing: "no key has this name, so that its purpose is not known" };
    });
  }

  /** What a policy says that is to be changed: whoever approves of that has to see it. */
  async #nowSaying(id: string): Promise<{ readonly before?: PolicyInfo }> {
    const row = isShortId(id) ? await this.#engine.store.read((tables) => tables.policies.get({ id })) : undefined;
    return row === undefined ? {} : { before: describe(row) };
  }

  async #change<T>(
    act: Act,
    work: (tables: StoreTables, now: number, by: string) => Promise<T>,
    more?: (result: T) => Pick<Act, "detail">,
  ): Promise<T> {
    const { clock, caller, policies } = this.#engine;
    return audited(
      this.#engine,
      act,
      async () => {
        const result = await changeAccess(this.#engine, (tables) => work(tables, clock.now(), subjectOf(caller.principal)));
        await policies.refresh();
        return result;
      },
      more,
    );
  }
}

/** What a record tells of a policy; of one that is too long for it, a digest. */
function detailOf({ effect, subject, actions, scope }: Omit<Policy, "id">): Record<string, string> {
  const where = JSON.stringify(scope);
  return { effect, subject, actions: recorded(actions.join(",")), ...(where !== "{}" && { scope: recorded(where) }) };
}

function recorded(text: string): string {
  return text.length <= longestDetail ? text : `sha256:${hash("sha256", text, "hex")}`;
}

function columnsOf({ effect, subject, actions, scope, description }: Omit<Policy, "id">): {
  readonly effect: string;
  readonly subject: string;
  readonly actions: string;
  readonly scope: string;
  readonly description: string;
} {
  return { effect, subject, actions: JSON.stringify(actions), scope: JSON.stringify(scope), description };
}

function describe(row: StoredRecord<"policies">): PolicyInfo {
  const { scope, ...policy } = readPolicy(row);
  const { notBefore, notAfter, ...where } = scope;
  return {
    ...policy,
    ...where,
    ...(notBefore !== undefined && { notBefore: instant(notBefore) }),
    ...(notAfter !== undefined && { notAfter: instant(notAfter) }),
    createdAt: instant(row.createdAt),
    createdBy: row.createdBy,
    updatedAt: instant(row.updatedAt),
    updatedBy: row.updatedBy,
  };
}

function recordable(id: string): { readonly detail?: Readonly<Record<string, string>> } {
  return isShortId(id) ? { detail: { policy: id } } : {};
}

/** @throws KeysteadError `UNKNOWN_POLICY`, `PRECONDITION_FAILED` */
async function findPolicy(tables: StoreTables, id: string, options: ChangeOptions = {}): Promise<StoredRecord<"policies">> {
  const row = isShortId(id) ? await tables.policies.get({ id }) : undefined;
  if (row === undefined) throw new KeysteadError("UNKNOWN_POLICY", "no policy has this id; `keystead policy list` shows them");
  assertUnchanged(describe(row), options);
  return row;
}
