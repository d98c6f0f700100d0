import { hash } from "node:crypto";
import { ApprovalNeeded } from "../../access/approval-needed.ts";
import { parsePrincipal, subjectOf } from "../../access/subject.ts";
import { encodeBase64url } from "../../crypto/base64url.ts";
import { encodeFields } from "../../crypto/encode.ts";
import { writeJson } from "../../crypto/json-text.ts";
import { KeysteadError } from "../../errors.ts";
import type { StoreTables } from "../../store/store.ts";
import type { StoredRecord } from "../../store/tables.ts";
import type { Act } from "../audited.ts";
import type { Engine } from "../engine.ts";
import { day, instant } from "../key-records.ts";
import type { AccessSnapshot } from "./access-snapshot.ts";
import { describeTerms } from "./act-terms.ts";
import { newShortId } from "./short-id.ts";

/** An approval that was taken for an act. */
export interface Approval {
  readonly id: string;
  readonly approvedBy: string;
  /** Lets the same call be made again after it failed. Never rejects: an approval that can't be given back is lost. */
  giveBack(): Promise<void>;
}

/** Days after which an approval ends that was not used, and after which its row is dropped. */
const approvalDays = { ends: 1, dropped: 30 } as const;

/** Most approvals that one person may wait for. */
const mostPending = 100;

/** An approval as it waits. */
const undecided = { state: "pending", decidedAt: null, decidedBy: null, decisionReason: null } as const;

/** Longest description of an act, in characters. */
const longestAct = 65_536;

/**
 * Takes the approval of just this act by this principal; when there is none, asks for one.
 * @param needed what access control said
 * @throws KeysteadError `APPROVAL_REQUIRED` naming the approval to wait for, `ACCESS_DENIED` when it was rejected, `RATE_LIMITED`
 */
export async function takeApproval(engine: Engine, act: Act, needed: KeysteadError): Promise<Approval> {
  const { store, clock, random, caller, policies } = engine;
  const requester = subjectOf(caller.principal);
  const snapshot = await policies.snapshot();
  const person = snapshot.personOf(caller.principal);
  const text = describeAct(act);
  const digest = encodeBase64url(hash("sha256", encodeFields(requester, act.action, text), "buffer"));
  const row = await store.transaction(async (tables) => {
    const now = clock.now();
    const found = (await tables.approvals.list({ digest })).filter(({ expiresAt }) => now < expiresAt);
    const approved = found.find(({ state }) => state === "approved");
    if (approved !== undefined)
      return tables.approvals.update({ ...approved, ...(isTrusted(approved, snapshot) ? { state: "used" } : undecided) });
    const waiting = found.find(({ state }) => state === "rejected") ?? found.find(({ state }) => state === "pending");
    if (waiting !== undefined) return waiting;
    await makeRoom(tables, person, now);
    return tables.approvals.insert({
      id: newShortId(random),
      ...undecided,
      requester,
      person,
      policy: needed instanceof ApprovalNeeded ? needed.policy : "",
      action: act.action,
      act: text,
      digest,
      requestedAt: now,
      expiresAt: now + approvalDays.ends * day,
    });
  });
  if (row.state === "used") return { id: row.id, approvedBy: row.decidedBy ?? "", giveBack: () => giveBack(engine, row) };
  if (row.state === "rejected")
    throw new KeysteadError(
      "ACCESS_DENIED",
      `approval ${row.id} of ${act.action} was rejected; ask who did, \`keystead approvals show\` says`,
    );
  throw new KeysteadError(
    "APPROVAL_REQUIRED",
    `${act.action} waits for a second person: another principal has to approve ${row.id} (\`keystead approvals approve ${row.id}\`) ` +
      `before ${instant(row.expiresAt)}; then make the same call again`,
  );
}

/** All that is asked for, as the second person sees it. */
function describeAct({ action: _, approved: _approved, questions: _questions, terms, ...act }: Act): string {
  const text = writeJson({ ...act, terms: describeTerms(terms) });
  if (text.length <= longestAct) return text;
  throw new KeysteadError("INVALID_ARGUMENT", "the act is too long to be approved of; do it in smaller ones");
}

/** False once who approved was disabled, or the token revoked by which he did: it may have been stolen. */
function isTrusted({ decidedBy }: StoredRecord<"approvals">, snapshot: AccessSnapshot): boolean {
  const principal = parsePrincipal(decidedBy ?? "");
  return principal !== undefined && !snapshot.isBarred({ principal });
}

async function makeRoom(tables: StoreTables, person: string, now: number): Promise<void> {
  for (const row of await tables.approvals.list())
    if (row.expiresAt + approvalDays.dropped * day <= now) await tables.approvals.remove(row);
  const pending = (await tables.approvals.list({ person, state: "pending" })).filter(({ expiresAt }) => now < expiresAt);
  if (pending.length < mostPending) return;
  throw new KeysteadError("RATE_LIMITED", `${String(mostPending)} approvals are waited for already; let them be decided first`);
}

async function giveBack({ store }: Engine, row: StoredRecord<"approvals">): Promise<void> {
  await store.transaction((tables) => tables.approvals.update({ ...row, state: "approved" })).catch(() => undefined);
}
