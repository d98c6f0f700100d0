import { type AccessControl, isPrincipal, malformedPrincipal, type Resource, type Revealing } from "../../access/access-control.ts";
import { revealAction } from "../../access/actions.ts";
import { ApprovalNeeded } from "../../access/approval-needed.ts";
import type { Caller } from "../../access/caller.ts";
import { asksContext, decide, type Decision, type Subjects } from "../../access/decide.ts";
import type { Policy } from "../../access/policy.ts";
import type { Principal } from "../../access/principal.ts";
import { subjectOf } from "../../access/subject.ts";
import type { Clock } from "../../clock.ts";
import { isKeyName } from "../../crypto/ciphertext.ts";
import { KeysteadError } from "../../errors.ts";
import type { CacheUse } from "../../observer.ts";
import type { Store } from "../../store/store.ts";
import { Lease } from "../lease.ts";
import { AccessSnapshot } from "./access-snapshot.ts";
import { DecisionMemory } from "./decision-memory.ts";

/** Milliseconds between looks at the store for the sake of somebody whom nobody knows. */
const strangerInterval = 1_000;

/** What is worked out once for each caller. */
interface Known {
  readonly caller: Caller;
  readonly subjects: Subjects;
  /** Those that speak of it. */
  readonly policies: readonly Policy[];
  readonly decisions: DecisionMemory;
}

/**
 * Decides by the policies, principals and tokens of the store. All of them are held in memory and followed as keys are: a change by another
 * process counts within the refresh bound, and nothing is allowed by rows that were not looked at for a minute.
 */
export class PolicyAccess implements AccessControl {
  /** How often a decision was remembered. */
  readonly lookups: CacheUse = { hits: 0, misses: 0 };
  readonly #store: Pick<Store, "read" | "revision">;
  readonly #clock: Clock;
  readonly #lease: Lease;
  #snapshot: AccessSnapshot | undefined;
  #revision = -1;
  #following: Promise<void> | undefined;
  #known = new WeakMap<Principal, Known>();
  /** Keys never change their purpose. */
  readonly #purposes = new Map<string, string>();
  #strangerAt = Number.NEGATIVE_INFINITY;

  constructor({ store, clock }: { readonly store: Pick<Store, "read" | "revision">; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
    this.#lease = new Lease(clock);
  }

  /** {@link AccessControl.authorize}. @throws KeysteadError also `APPROVAL_REQUIRED`, and what the store says when it must be asked */
  authorize(caller: Caller, action: string, resource: Resource): Promise<void> | void {
    if (!this.#known.has(caller.principal) && !isPrincipal(caller.principal)) throw malformedPrincipal("ACCESS_DENIED");
    const now = this.#clock.now();
    const snapshot = this.#held(now);
    if (snapshot === undefined) return this.#authorizeLater(caller, action, resource);
    const complete = this.#withPurpose(snapshot, caller, resource);
    if (complete === undefined) return this.#authorizeLater(caller, action, resource);
    allow(this.#decide(snapshot, caller, action, complete, now), caller, action);
  }

  /** {@link AccessControl.asksContext}. @throws what the store says */
  async asksContext(caller: Caller, action: string, resource: Resource): Promise<boolean> {
    const snapshot = await this.snapshot();
    return asksContext(snapshot.policies, snapshot.subjectsOf(caller), action, await this.complete(resource));
  }

  /** {@link AccessControl.authorizeReveal}. @throws KeysteadError as {@link authorize} */
  async authorizeReveal(caller: Caller, resource: Resource): Promise<Revealing> {
    if (!isPrincipal(caller.principal)) throw malformedPrincipal("ACCESS_DENIED");
    const decision = await this.decide(caller, revealAction, resource);
    const { outcome, masked } = decision;
    if (outcome !== "masked") allow(decision, caller, revealAction);
    return { plain: outcome === "allow", ...(masked !== undefined && { mask: masked.mask }) };
  }

  /** As {@link authorize}, but says what is decided. @throws what the store says */
  async decide(caller: Caller, action: string, resource: Resource): Promise<Decision> {
    const complete = await this.complete(resource);
    // Looked at last: what it says must not be older than anything that was waited for.
    return this.#decide(await this.snapshot(), caller, action, complete);
  }

  /** What the store says, not older than the lease. @throws KeysteadError `KEY_LEASE_EXPIRED`, and what the store says */
  async snapshot(): Promise<AccessSnapshot> {
    if (this.#held() === undefined) await this.refresh();
    const held = this.#held();
    if (held !== undefined) return held;
    throw new KeysteadError(
      "KEY_LEASE_EXPIRED",
      "policies were not read for 60 s, so a change could have been missed; check that the store answers",
    );
  }

  /** A resource with the purpose of its key. @throws what the store says */
  async complete(resource: Resource): Promise<Resource> {
    if (resource.key === undefined || resource.purpose !== undefined) return resource;
    const purpose = this.#purposes.get(resource.key);
    return purpose === undefined ? this.#readPurpose(resource) : { ...resource, purpose };
  }

  /** {@link snapshot} when it is at hand. */
  get present(): AccessSnapshot | undefined {
    return this.#held();
  }

  /**
   * Looks at the store for somebody who is unknown so far, unless that was done a moment ago: guesses must not keep the store busy.
   * @returns false when it was done a moment ago
   */
  async lookForStranger(): Promise<boolean> {
    const now = this.#clock.monotonic();
    if (now - this.#strangerAt < strangerInterval) return false;
    this.#strangerAt = now;
    await this.refresh();
    return true;
  }

  /** Learns of every change up to now. A call during a look waits for the next one. @throws what the store says */
  async refresh(): Promise<void> {
    if (this.#following !== undefined) await this.#following.catch(() => undefined);
    this.#following ??= this.#follow().finally(() => {
      this.#following = undefined;
    });
    await this.#following;
  }

  /** {@link refresh} for the loop that keeps the lease: nothing is read before somebody asks for the first time. */
  async keep(): Promise<void> {
    if (this.#snapshot !== undefined) await this.refresh();
  }

  async #follow(): Promise<void> {
    const start = this.#lease.moment();
    const revision = await this.#store.revision();
    if (this.#snapshot === undefined || revision !== this.#revision) {
      this.#snapshot = await this.#store.read((tables) => AccessSnapshot.read(tables));
      this.#known = new WeakMap();
      this.#revision = revision;
    }
    this.#lease.renew(start);
  }

  #held(now = this.#clock.now()): AccessSnapshot | undefined {
    return this.#lease.holds(now) ? this.#snapshot : undefined;
  }

  async #authorizeLater(caller: Caller, action: string, resource: Resource): Promise<void> {
    allow(await this.decide(caller, action, resource), caller, action);
  }

  #decide(snapshot: AccessSnapshot, caller: Caller, action: string, resource: Resource, now = this.#clock.now()): Decision {
    const { principal } = caller;
    const problem = principal.source === "token" ? snapshot.tokenProblem(principal.id, now) : undefined;
    if (problem !== undefined) return { outcome: "deny", reason: `its token is ${problem}`, lasting: false };
    const { subjects, policies, decisions } = this.#knownOf(snapshot, caller);
    const before = decisions.get(action, resource);
    if (before !== undefined) {
      this.lookups.hits += 1;
      return before;
    }
    this.lookups.misses += 1;
    const decision = decide(policies, subjects, action, resource, now);
    if (decision.lasting) decisions.set(action, resource, decision);
    return decision;
  }

  /** By the principal, which calls of one credential share, while each of them has a caller of its own. */
  #knownOf(snapshot: AccessSnapshot, caller: Caller): Known {
    const known = this.#known.get(caller.principal);
    if (known !== undefined && isSame(known.caller, caller)) return known;
    const subjects = snapshot.subjectsOf(caller);
    const policies = snapshot.policies.filter(({ subject }) => subjects.names.has(subject));
    const fresh = { caller, subjects, policies, decisions: new DecisionMemory() };
    // What older rows said must not be remembered beside what newer ones say.
    if (snapshot === this.#snapshot) this.#known.set(caller.principal, fresh);
    return fresh;
  }

  /** The resource with the purpose of its key, where that matters; undefined when it has to be read. */
  #withPurpose(snapshot: AccessSnapshot, { scope }: Caller, resource: Resource): Resource | undefined {
    if (resource.purpose !== undefined || resource.key === undefined) return resource;
    if (!snapshot.asksPurpose && scope?.purposes === undefined) return resource;
    const purpose = this.#purposes.get(resource.key);
    return purpose === undefined ? undefined : { ...resource, purpose };
  }

  async #readPurpose(resource: Resource): Promise<Resource> {
    const { key = "" } = resource;
    const [row] = isKeyName(key) ? await this.#store.read((tables) => tables.keys.list({ name: key })) : [];
    if (row === undefined) return resource;
    this.#purposes.set(key, row.purpose);
    return { ...resource, purpose: row.purpose };
  }
}

function isSame(a: Caller, b: Caller): boolean {
  return a.roles === b.roles && a.claims === b.claims && a.groups === b.groups && a.scope === b.scope;
}

/** @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED` */
function allow({ outcome, policy = "", reason }: Decision, { principal }: Caller, action: string): void {
  if (outcome === "allow") return;
  if (outcome === "approve") throw new ApprovalNeeded(policy);
  throw new KeysteadError(
    "ACCESS_DENIED",
    `${subjectOf(principal)} may not do ${action} here: ${reason}; ask an administrator, \`keystead policy explain\` says more`,
  );
}
