import type { KeysteadApi } from "../api/keystead-api.ts";
import { anything, assertArguments, flag, number, object, optional, text, textOrBytes } from "../arguments.ts";
import { type Clock, systemClock } from "../clock.ts";
import { parseBinary, type ParsedCiphertext, parseText } from "../crypto/ciphertext.ts";
import { ClockAge } from "../crypto/clock-age.ts";
import type { CiphertextKind, Context } from "../crypto/context.ts";
import { RandomPool, type RandomSource, systemRandom } from "../crypto/random.ts";
import { decodeUtf8, encodeUtf8 } from "../crypto/text.ts";
import { decodeTypedValue, encodeTypedValue, type FieldValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import { HeldLease } from "./held-lease.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { OpeningLeases } from "./opening-leases.ts";

/** How a client seals and opens by itself. */
export interface LocalOptions {
  /** Name of the dataset that will hold the ciphertext: the census speaks for it then. */
  readonly dataset?: string;
  /** False: what can't be opened by oneself is refused. When absent or true, a served call opens it. */
  readonly served?: boolean;
  /** Keys for opening that are held at most, 1 to 900; 500 when absent. */
  readonly openingLeases?: number;
  readonly clock?: Clock;
  readonly random?: RandomSource;
}

/** What data is bound to. */
export interface LocalCipherOptions {
  /** String pairs that must be given again to open. They stay here: neither policy nor audit sees them. */
  readonly context?: Context;
}

/** What local mode needs of an engine: a client has it, and so has a program with the engine in it. */
export type LocalServer = Pick<KeysteadApi, "decrypt" | "decryptValue"> & {
  readonly leases: Pick<KeysteadApi["leases"], "seal" | "open" | "renew" | "release">;
};

type KeyTarget = Parameters<KeysteadApi["encrypt"]>[0];

/** Milliseconds after which a lease that could not be fetched ahead is tried again. */
const retryInterval = 10_000;
const openingBounds = { usual: 500, most: 900 } as const;

const cipherOptions = object<LocalCipherOptions>({ context: anything });
const rules = {
  local: object<LocalOptions>({
    dataset: optional(text),
    served: optional(flag),
    openingLeases: optional(number),
    clock: anything,
    random: anything,
  }),
  seal: { plaintext: textOrBytes, options: cipherOptions },
  sealValue: { options: cipherOptions },
  open: { sealed: textOrBytes, options: cipherOptions },
} as const;

/**
 * Seals and opens in this process, with derived keys that the server leases: each for one prefix of nonces. What it makes is ordinary
 * ciphertext. Whether a lease still holds is asked every 30 s while it is used; one that was not affirmed for 60 s is not used.
 *
 * @example
 * await using local = keystead.local("pii-email");
 * const sealed = await local.encrypt("anna@example.org", { context: { table: "person", column: "email" } });
 */
export class LocalCipher {
  readonly #server: LocalServer;
  readonly #onClose: () => void;
  readonly #target: KeyTarget;
  readonly #options: LocalOptions;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #keeper: LeaseKeeper;
  readonly #opening: OpeningLeases;
  #sealing: HeldLease | undefined;
  #fetching: Promise<void> | undefined;
  #failed: ClockAge | undefined;
  #closed = false;

  /**
   * @param onClose told when it is closed
   * @throws KeysteadError `INVALID_ARGUMENT`
   */
  constructor(server: LocalServer, target: KeyTarget, options: LocalOptions = {}, onClose: () => void = () => undefined) {
    assertArguments({ options }, { options: rules.local });
    const { clock = systemClock, random = systemRandom, openingLeases = openingBounds.usual } = options;
    if (!Number.isSafeInteger(openingLeases) || openingLeases < 1 || openingLeases > openingBounds.most)
      throw new KeysteadError("INVALID_ARGUMENT", `openingLeases must be 1 to ${String(openingBounds.most)}`);
    this.#server = server;
    this.#onClose = onClose;
    this.#target = target;
    this.#options = options;
    this.#clock = clock;
    this.#random = new RandomPool(random, clock);
    this.#keeper = new LeaseKeeper(server.leases, clock);
    this.#opening = new OpeningLeases(server.leases, this.#keeper, clock, openingLeases);
  }

  /**
   * Seals text or bytes, as text: `ks1:<key>:<label>:<payload>`.
   * @throws KeysteadError `INVALID_ARGUMENT`, `KEY_LEASE_EXPIRED` when the server could not be asked for 60 s, `CLOSED`, and what the server
   *   says when a lease is asked for: `ACCESS_DENIED`, `KEY_USAGE`, `KEY_STATE`, `SERVER_UNREACHABLE` …
   */
  async encrypt(plaintext: string | Uint8Array, options: LocalCipherOptions = {}): Promise<string> {
    assertArguments({ plaintext, options }, rules.seal);
    return this.#seal("value", typeof plaintext === "string" ? encodeUtf8(plaintext, "plaintext") : plaintext, options.context);
  }

  /** Seals a value together with its type. @throws KeysteadError as {@link encrypt} */
  async encryptValue(value: FieldValue, options: LocalCipherOptions = {}): Promise<string> {
    assertArguments({ options }, rules.sealValue);
    return this.#seal("typed", encodeTypedValue(value), options.context);
  }

  /**
   * Opens ciphertext of any key: by oneself where a lease vouches for its prefix, by a served call otherwise.
   * @throws KeysteadError `MALFORMED_CIPHERTEXT`, `DECRYPTION_FAILED`, `KEY_LEASE_EXPIRED`, `CLOSED`, and what the server says; `UNKNOWN_LEASE`,
   *   `KEY_USAGE` or `ACCESS_DENIED` for what is not leased, unless it is served
   */
  async decrypt(sealed: string | Uint8Array, options: LocalCipherOptions = {}): Promise<Buffer> {
    assertArguments({ sealed, options }, rules.open);
    return (await this.#open("value", sealed, options)) ?? (await this.#server.decrypt(sealed, options));
  }

  /** As {@link decrypt}, for text. @throws KeysteadError as {@link decrypt}; `DECRYPTION_FAILED` also for bytes that are not UTF-8 */
  async decryptText(sealed: string | Uint8Array, options: LocalCipherOptions = {}): Promise<string> {
    const opened = decodeUtf8(await this.decrypt(sealed, options));
    if (opened !== undefined) return opened;
    throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; open it with decrypt()");
  }

  /** Opens what {@link encryptValue} made, with its type. @throws KeysteadError as {@link decrypt} */
  async decryptValue(sealed: string | Uint8Array, options: LocalCipherOptions = {}): Promise<FieldValue> {
    assertArguments({ sealed, options }, rules.open);
    const plaintext = await this.#open("typed", sealed, options);
    if (plaintext === undefined) return this.#server.decryptValue(sealed, options);
    const value = decodeTypedValue(plaintext);
    if (value === undefined) throw doesNotOpen();
    return value;
  }

  /** Forgets all keys and gives back what was leased and not used, as far as the server answers. Closing again does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#fetching?.catch(() => undefined);
    this.#opening.clear();
    const sealing = this.#sealing;
    this.#sealing = undefined;
    if (sealing !== undefined) await this.#release(sealing);
    this.#onClose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #seal(kind: CiphertextKind, plaintext: Uint8Array, context: Context | undefined): Promise<string> {
    for (;;) {
      this.#assertOpen();
      const lease = this.#sealing;
      if (lease?.hasRoom(plaintext.length) !== true) {
        await this.#fetch(plaintext.length);
        continue;
      }
      const checking = this.#keeper.check(lease);
      if (checking !== undefined) {
        await checking;
        continue;
      }
      const sealed = lease.seal(kind, plaintext, context, this.#random);
      if (lease.isLow) this.#fetchAhead(plaintext.length);
      return sealed;
    }
  }

  /** The plaintext; undefined when a served call is to open it. */
  async #open(kind: CiphertextKind, sealed: string | Uint8Array, { context }: LocalCipherOptions): Promise<Buffer | undefined> {
    this.#assertOpen();
    const parsed = parse(sealed);
    const lease = await this.#opening.find(parsed);
    this.#assertOpen();
    if (lease instanceof KeysteadError) {
      if (this.#options.served === false) throw lease;
      return undefined;
    }
    const plaintext = lease.open(kind, parsed.payload, context);
    if (plaintext === undefined) throw doesNotOpen();
    return plaintext;
  }

  #fetchAhead(bytes: number): void {
    if (this.#fetching !== undefined) return;
    if (this.#failed !== undefined && this.#failed.milliseconds() < retryInterval) return;
    this.#fetch(bytes).catch(() => undefined);
  }

  #fetch(bytes: number): Promise<void> {
    this.#fetching ??= this.#fetchNow(bytes)
      .catch((error: unknown) => {
        this.#failed = new ClockAge(this.#clock);
        throw error;
      })
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  async #fetchNow(bytes: number): Promise<void> {
    const { dataset } = this.#options;
    const age = new ClockAge(this.#clock);
    const lease = new HeldLease(await this.#server.leases.seal(this.#target, dataset === undefined ? {} : { dataset }), "seal", age);
    if (!lease.hasRoom(bytes)) {
      await this.#release(lease);
      throw new KeysteadError("KEY_LEASE_EXPIRED", "the lease has no room for this plaintext; seal it by a served call");
    }
    const before = this.#sealing;
    this.#sealing = lease;
    this.#keeper.keep(lease);
    this.#failed = undefined;
    if (before !== undefined) void this.#release(before);
  }

  /** What is not given back counts as sealed: too much, never too little. */
  async #release(lease: HeldLease): Promise<void> {
    this.#keeper.drop(lease);
    await this.#server.leases.release(lease.id, lease.sealed).catch(() => undefined);
  }

  #assertOpen(): void {
    if (this.#closed) throw new KeysteadError("CLOSED", "this local cipher is closed; make another one with local()");
  }
}

function parse(sealed: string | Uint8Array): ParsedCiphertext {
  const parsed = typeof sealed === "string" ? parseText(sealed) : parseBinary(sealed);
  if (parsed !== undefined) return parsed;
  throw new KeysteadError(
    "MALFORMED_CIPHERTEXT",
    "this is not Keystead ciphertext of format 1; check that it was stored whole and unchanged",
  );
}

function doesNotOpen(): KeysteadError {
  return new KeysteadError("DECRYPTION_FAILED", "this ciphertext does not open with this key and context");
}
