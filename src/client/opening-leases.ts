import type { KeysteadApi } from "../api/keystead-api.ts";
import type { Clock } from "../clock.ts";
import type { ParsedCiphertext } from "../crypto/ciphertext.ts";
import { ClockAge } from "../crypto/clock-age.ts";
import { type ErrorCode, KeysteadError } from "../errors.ts";
import { HeldLease } from "./held-lease.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";

const prefixBytes = 12;
/** Refusals that are remembered, and for how many milliseconds. */
const refusals = { count: 10_000, milliseconds: 600_000 } as const;

/** What says that something is not opened by oneself, but may be by a served call. */
const servedCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["UNKNOWN_LEASE", "KEY_USAGE", "ACCESS_DENIED"]);

interface Refusal {
  readonly error: KeysteadError;
  readonly age: ClockAge;
}

/** Leases for opening, by prefix: those that were used last, each asked for once at a time. */
export class OpeningLeases {
  readonly #leases: Pick<KeysteadApi["leases"], "open">;
  readonly #keeper: LeaseKeeper;
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #held = new Map<string, HeldLease>();
  readonly #fetching = new Map<string, Promise<HeldLease>>();
  readonly #refused = new Map<string, Refusal>();

  constructor(leases: Pick<KeysteadApi["leases"], "open">, keeper: LeaseKeeper, clock: Clock, capacity: number) {
    this.#leases = leases;
    this.#keeper = keeper;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  /** The lease for a ciphertext, or why it is left to a served call. @throws KeysteadError what the server says otherwise */
  async find(sealed: ParsedCiphertext): Promise<HeldLease | KeysteadError> {
    const version = `${sealed.key}:${sealed.label}`;
    const place = `${version}:${sealed.payload.toString("base64url", 0, prefixBytes)}`;
    for (;;) {
      const held = this.#held.get(place);
      if (held?.holds === true) {
        const checking = this.#keeper.check(held);
        if (checking === undefined) {
          this.#admit(place, held);
          return held;
        }
        await checking;
        continue;
      }
      if (held !== undefined) this.#remove(place, held);
      const refusal = this.#recall(place) ?? this.#recall(version);
      if (refusal !== undefined) return refusal;
      try {
        this.#admit(place, await this.#fetchOnce(place, sealed));
      } catch (error) {
        if (!(error instanceof KeysteadError) || !servedCodes.has(error.code)) throw error;
        // Only the lease is a matter of the prefix: whatever else is refused is so for all of the version's ciphertext.
        this.#remember(error.code === "UNKNOWN_LEASE" ? place : version, error);
        return error;
      }
    }
  }

  /** Forgets every key. */
  clear(): void {
    for (const [place, lease] of this.#held) this.#remove(place, lease);
  }

  #fetchOnce(place: string, sealed: ParsedCiphertext): Promise<HeldLease> {
    let fetching = this.#fetching.get(place);
    if (fetching === undefined) {
      fetching = this.#fetch(sealed).finally(() => this.#fetching.delete(place));
      this.#fetching.set(place, fetching);
    }
    return fetching;
  }

  async #fetch({ key, label, payload }: ParsedCiphertext): Promise<HeldLease> {
    const age = new ClockAge(this.#clock);
    const lease = new HeldLease(await this.#leases.open({ key, label, prefix: payload.subarray(0, prefixBytes) }), "open", age);
    this.#keeper.keep(lease);
    return lease;
  }

  #admit(place: string, lease: HeldLease): void {
    this.#held.delete(place);
    this.#held.set(place, lease);
    const [oldest] = this.#held;
    if (oldest !== undefined && this.#held.size > this.#capacity) this.#remove(...oldest);
  }

  #remove(place: string, lease: HeldLease): void {
    this.#held.delete(place);
    this.#keeper.drop(lease);
  }

  #recall(name: string): KeysteadError | undefined {
    const refusal = this.#refused.get(name);
    if (refusal === undefined || refusal.age.milliseconds() < refusals.milliseconds) return refusal?.error;
    this.#refused.delete(name);
    return undefined;
  }

  #remember(name: string, error: KeysteadError): void {
    if (this.#refused.size >= refusals.count) this.#refused.clear();
    this.#refused.set(name, { error, age: new ClockAge(this.#clock) });
  }
}
