import { subjectOf } from "../../access/subject.ts";
import { assertArguments, choice, isPlainObject, object, optional, text } from "../../arguments.ts";
import type { AuditEvent } from "../../audit/event.ts";
import { parseJson } from "../../crypto/json-text.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { StoredRecord } from "../../store/tables.ts";
import { asked, audited } from "../audited.ts";
import type { Engine } from "../engine.ts";
import { instant } from "../key-records.ts";
import { isShortId } from "./short-id.ts";

/** What becomes of an approval. */
export const approvalStates = ["pending", "approved", "rejected", "used", "expired"] as const;

/** What becomes of an approval. */
export type ApprovalState = (typeof approvalStates)[number];

/** Something that needs a second person. */
export interface ApprovalInfo {
  readonly id: string;
  readonly state: ApprovalState;
  /** Who asks. */
  readonly requester: string;
  /** Who is behind it: of a token, who made it. He can't be the second person. */
  readonly person: string;
  readonly action: string;
  /** All that is asked for: key, version, reason, the policy that is to be made. */
  readonly act: Readonly<Record<string, unknown>>;
  /** The policy that asks for a second person. */
  readonly policy: string;
  readonly requestedAt: string;
  readonly expiresAt: string;
  readonly decidedAt?: string;
  readonly decidedBy?: string;
  readonly decisionReason?: string;
}

/** Which approvals are listed. */
export interface ApprovalFilter {
  readonly state?: ApprovalState;
}

/** Why somebody decides as he does. */
export interface DecisionOptions {
  /** 1 to 1,024 characters. */
  readonly reason?: string;
}

const rules = {
  list: { filter: object<ApprovalFilter>({ state: optional(choice(...approvalStates)) }) },
  show: { id: text },
  decide: { id: text, options: object<DecisionOptions>({ reason: optional(text) }) },
} as const;

/** Acts that wait for a second person: asked for by the call itself, decided on here, done when the call is made again. */
export class ApprovalService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every approval of the last month, the newest first. */
  async list(filter: ApprovalFilter = {}): Promise<ApprovalInfo[]> {
    assertArguments({ filter }, rules.list);
    return asked(this.#engine, { action: "approvals.list", terms: filter }, async () => {
      const rows = await this.#engine.store.read((tables) => tables.approvals.list());
      const found = rows.sort((a, b) => b.requestedAt - a.requestedAt).map((row) => this.#describe(row));
      return filter.state === undefined ? found : found.filter(({ state }) => state === filter.state);
    });
  }

  /** One approval. @throws KeysteadError `UNKNOWN_APPROVAL` */
  async show(id: string): Promise<ApprovalInfo> {
    assertArguments({ id }, rules.show);
    return asked(this.#engine, { action: "approvals.show", ...recordable(id), terms: { id } }, () =>
      this.#engine.store.read(async (tables) => this.#describe(await findApproval(tables, id))),
    );
  }

  /**
   * Approves of just this act by just this principal, who then makes the call again. Once, and until it expires.
   * @throws KeysteadError `UNKNOWN_APPROVAL`, `CONFLICT` when it was decided on or has expired, `ACCESS_DENIED` for who asked, also through
   *   a token of his
   * @example
   * for (const { id } of await keystead.approvals.list({ state: "pending" })) await keystead.approvals.approve(id);
   */
  async approve(id: string, options: DecisionOptions = {}): Promise<ApprovalInfo> {
    assertArguments({ id, options }, rules.decide);
    return this.#decide("approved", "approvals.approve", id, options);
  }

  /** Rejects it: the same call is refused until it expires. Who asked may reject, too. @throws KeysteadError as {@link approve} */
  async reject(id: string, options: DecisionOptions = {}): Promise<ApprovalInfo> {
    assertArguments({ id, options }, rules.decide);
    return this.#decide("rejected", "approvals.reject", id, options);
  }

  async #decide(state: "approved" | "rejected", action: string, id: string, { reason }: DecisionOptions): Promise<ApprovalInfo> {
    const { store, clock, caller, policies } = this.#engine;
    const asked = isShortId(id) ? await store.read((tables) => tables.approvals.get({ id })) : undefined;
    // A second person is never asked for about the second person.
    const act = { action, approved: true, ...placeOf(asked), ...recordable(id), ...(reason !== undefined && { reason }), terms: { id } };
    const row = await audited(
      this.#engine,
      act,
      async () => {
        const person = (await policies.snapshot()).personOf(caller.principal);
        return store.transaction(async (tables) => {
          const row = await findApproval(tables, id);
          const now = clock.now();
          if (row.state !== "pending" || now >= row.expiresAt)
            throw new KeysteadError("CONFLICT", `approval ${id} is ${stateOf(row, now)}: only one that is pending can be decided on`);
          if (state === "approved" && person === row.person)
            throw new KeysteadError(
              "ACCESS_DENIED",
              `who asked can't be the second person, nor can any token that ${row.person} made; another person has to approve`,
            );
          return tables.approvals.update({
            ...row,
            state,
            decidedAt: now,
            decidedBy: subjectOf(caller.principal),
            decisionReason: reason ?? null,
          });
        });
      },
      ({ requester, action: wanted }) => ({ detail: { approval: id, requester, action: wanted } }),
    );
    return this.#describe(row);
  }

  #describe(row: StoredRecord<"approvals">): ApprovalInfo {
    const act = parseJson(row.act);
    return {
      id: row.id,
      state: stateOf(row, this.#engine.clock.now()),
      requester: row.requester,
      person: row.person,
      action: row.action,
      act: isPlainObject(act) ? act : {},
      policy: row.policy,
      requestedAt: instant(row.requestedAt),
      expiresAt: instant(row.expiresAt),
      ...(row.decidedAt !== null && { decidedAt: instant(row.decidedAt) }),
      ...(row.decidedBy !== null && { decidedBy: row.decidedBy }),
      ...(row.decisionReason !== null && { decisionReason: row.decisionReason }),
    };
  }
}

function stateOf({ state, expiresAt }: StoredRecord<"approvals">, now: number): ApprovalState {
  const stored = approvalStates.find((known) => known === state) ?? "expired";
  return (stored === "pending" || stored === "approved") && now >= expiresAt ? "expired" : stored;
}

/** What the act is about: who may approve can be told by it. */
function placeOf(row: StoredRecord<"approvals"> | undefined): Pick<Partial<AuditEvent>, "key" | "purpose" | "dataset"> {
  const act = row === undefined ? undefined : parseJson(row.act);
  if (!isPlainObject(act)) return {};
  const { key, purpose, dataset } = act;
  return {
    ...(typeof key === "string" && { key }),
    ...(typeof purpose === "string" && { purpose }),
    ...(typeof dataset === "string" && { dataset }),
  };
}

function recordable(id: string): { readonly detail?: Readonly<Record<string, string>> } {
  return isShortId(id) ? { detail: { approval: id } } : {};
}

/** @throws KeysteadError `UNKNOWN_APPROVAL` */
async function findApproval(tables: StoreTables, id: string): Promise<StoredRecord<"approvals">> {
  const row = isShortId(id) ? await tables.approvals.get({ id }) : undefined;
  if (row !== undefined) return row;
  throw new KeysteadError("UNKNOWN_APPROVAL", "no approval has this id; `keystead approvals list` shows them");
}
