import type { AccessControl } from "../access/access-control.ts";
import type { Caller } from "../access/caller.ts";
import type { AuditTrail } from "../audit/event.ts";
import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Observer } from "../observer.ts";
import type { Store, StoreIdentity } from "../store/store.ts";
import type { PolicyAccess } from "./access/policy-access.ts";
import type { KekRing } from "./kek-ring.ts";
import type { KeyNames } from "./key-names.ts";
import type { KeysetRegistry } from "./keyset-registry.ts";
import type { RunningActs } from "./running-acts.ts";

/** What every service stands on: the opened store, the KEKs, the loaded keys, and who asks. Built by the composition root. */
export interface Engine {
  readonly store: Store;
  readonly identity: StoreIdentity;
  readonly keks: KekRing;
  readonly registry: KeysetRegistry;
  readonly names: KeyNames;
  readonly audit: AuditTrail;
  readonly access: AccessControl;
  /** What the store's policies say, whether {@link access} goes by them or not. */
  readonly policies: PolicyAccess;
  readonly acts: RunningActs;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly caller: Caller;
  /** Who was asked for, where the engine works by itself: what comes up only on the way is asked of him. */
  readonly behalf?: Pick<Engine, "access" | "caller">;
}
