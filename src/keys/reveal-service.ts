import { types } from "node:util";
import type { Resource, Revealing } from "../access/access-control.ts";
import { revealAction } from "../access/actions.ts";
import { applyMask, parseMask } from "../access/mask.ts";
import { assertArguments, listOf, object, optional, recordOf, text, textOrBytes } from "../arguments.ts";
import type { ParsedCiphertext } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import { decodeTypedValue, type FieldValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import type { CipherOptions } from "./cipher-service.ts";
import { type BatchItem, DataActs, isProblem, type ItemProblem } from "./data-acts.ts";
import type { Engine } from "./engine.ts";
import type { HandlePool } from "./handle-pool.ts";
import type { KeyHandle } from "./key-handle.ts";
import type { NamedKey } from "./key-names.ts";
import { openEitherKind } from "./open-either-kind.ts";
import { parseSealed, tryParseSealed } from "./parse-sealed.ts";

/** Why something is shown. */
export interface RevealReason {
  /** Why the plaintext is needed, 1 to 500 characters. The audit keeps it: a ticket or a task, never anything of the value or the person. */
  readonly reason?: string;
}

/** What a field was bound to, and why it is shown. */
export interface RevealOptions extends CipherOptions, RevealReason {}

/** What {@link RevealService.revealMany} shows. */
export interface RevealItem extends CipherOptions {
  readonly ciphertext: string | Uint8Array;
}

/** A field as its reader may see it. */
export interface Revealed {
  /** The plaintext as text, or its masked form. */
  readonly text: string;
  /** True for the masked form. */
  readonly masked: boolean;
  readonly key: string;
  readonly version: number;
  readonly label: string;
}

const context = optional(recordOf(text));
const reason = optional(text);
const rules = {
  reveal: { sealed: textOrBytes, options: object<RevealOptions>({ context, reason }) },
  revealMany: {
    items: listOf(object<RevealItem>({ ciphertext: textOrBytes, context })),
    options: object<RevealReason>({ reason }),
  },
} as const;

const longestReason = 500;

/**
 * Shows fields to people: the plaintext for a reason, or the masked form that policies say. Each call leaves one record, whoever calls; it
 * says what was shown and why, and never a value.
 */
export class RevealService {
  readonly #engine: Engine;
  readonly #pool: HandlePool;
  readonly #acts: DataActs;

  constructor(engine: Engine, pool: HandlePool) {
    this.#engine = engine;
    this.#pool = pool;
    this.#acts = new DataActs(engine);
  }

  /**
   * Shows one field.
   * @throws KeysteadError `ACCESS_DENIED`; `REASON_REQUIRED` when nothing but the plaintext may be shown and no reason is given;
   *   `DECRYPTION_FAILED` also for what is no text; as `decrypt()`
   */
  async reveal(sealed: string | Uint8Array, options: RevealOptions = {}): Promise<Revealed> {
    assertArguments({ sealed, options }, rules.reveal);
    const { context, reason } = options;
    assertReason(reason);
    const parsed = parseSealed(sealed);
    const { ask, show } = this.#showing(parsed, options);
    const act = { action: revealAction, target: parsed.key, version: parsed.label, context, reason, recorded: true, ask };
    return this.#acts.perform(act, async (key) => {
      const { mask, ...result } = await show(key);
      return { result, detail: mask === undefined ? { shown: "plain" } : { shown: "masked", mask } };
    });
  }

  /**
   * Shows many fields for one reason. Each is asked for and fails alone; a record for each key and context tells how many were
   * shown plain and masked.
   * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` for more than 1,000 items, `AUDIT_UNAVAILABLE`
   */
  async revealMany(items: readonly RevealItem[], options: RevealReason = {}): Promise<(Revealed | ItemProblem)[]> {
    assertArguments({ items, options }, rules.revealMany);
    const { reason } = options;
    assertReason(reason);
    const batch = items.map(({ ciphertext, context }): BatchItem<Revealed> => {
      const parsed = tryParseSealed(ciphertext);
      if (parsed instanceof KeysteadError) return { ciphertext, problem: parsed };
      const { ask, show } = this.#showing(parsed, { ...options, ...(context !== undefined && { context }) });
      const work = async (key: NamedKey): Promise<Revealed> => {
        const { mask: _, ...result } = await show(key);
        return result;
      };
      return { target: parsed.key, version: parsed.label, context, ciphertext, ask, work };
    });
    return this.#acts.performEach(revealAction, batch, () => undefined, {
      reason,
      isAlwaysRecorded: true,
      isByContext: true,
      tally: countShown,
    });
  }

  /** How a ciphertext is asked for, and shown after that. */
  #showing(
    parsed: ParsedCiphertext,
    { context, reason }: RevealOptions,
  ): {
    readonly ask: (resource: Resource) => Promise<void>;
    readonly show: (key: NamedKey) => Promise<Revealed & { readonly mask?: string }>;
  } {
    let may: Revealing | undefined;
    return {
      ask: async (resource) => {
        may = await this.#ask(resource);
      },
      show: async (key) => {
        const mask = maskFor(may, reason);
        const plaintext = await this.#pool.now({ key }, (handle) => openText(handle, parsed, context));
        const header = { key: parsed.key, version: Number.parseInt(parsed.label, 10), label: parsed.label };
        if (mask === undefined) return { text: plaintext, masked: false, ...header };
        return { text: applyMask(parseMask(mask), plaintext), masked: true, ...header, mask };
      },
    };
  }

  /** @throws KeysteadError `ACCESS_DENIED` */
  async #ask(resource: Resource): Promise<Revealing> {
    const { access, caller } = this.#engine;
    if (access.authorizeReveal !== undefined) return access.authorizeReveal(caller, resource);
    await access.authorize(caller, revealAction, resource);
    return { plain: true };
  }
}

/** @throws KeysteadError `INVALID_ARGUMENT` */
function assertReason(reason: string | undefined): void {
  if (reason === undefined) return;
  if (reason.length >= 1 && reason.length <= longestReason && reason.isWellFormed() && !/\p{Cc}/u.test(reason)) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `reason must have 1 to ${String(longestReason)} characters and no control characters; name a ticket or a task, nothing of the value`,
  );
}

/**
 * The mask of what is shown; undefined for the plaintext.
 * @throws KeysteadError `ACCESS_DENIED`, `REASON_REQUIRED`, `INVALID_ARGUMENT`
 */
function maskFor(may: Revealing | undefined, reason: string | undefined): string | undefined {
  if (may?.plain === true && reason !== undefined) return undefined;
  if (may?.mask !== undefined) return may.mask;
  if (may?.plain === true) {
    throw new KeysteadError(
      "REASON_REQUIRED",
      "the plaintext is shown for a reason alone: say why it is needed (`reason`, `--reason`), such as a ticket; the audit keeps it",
    );
  }
  throw new KeysteadError("ACCESS_DENIED", "nothing of this may be shown; ask an administrator, `keystead policy explain` says more");
}

/** @throws KeysteadError `DECRYPTION_FAILED` also for what is no text */
function openText(handle: KeyHandle, parsed: ParsedCiphertext, context: Context | undefined): string {
  const { kind, plaintext } = openEitherKind(handle, parsed, context);
  const value = kind === "typed" ? decodeTypedValue(plaintext) : plaintext;
  const found = value === undefined ? undefined : textOf(value);
  if (found !== undefined) return found;
  throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text, so that it can't be shown; open it with decrypt()");
}

/** A value as text that loses nothing; undefined for bytes that are not UTF-8. */
function textOf(value: FieldValue): string | undefined {
  if (types.isUint8Array(value)) return decodeUtf8(value);
  if (types.isDate(value)) return value.toISOString();
  if (typeof value === "object") return JSON.stringify(value);
  return Object.is(value, -0) ? "-0" : String(value);
}

function countShown(results: readonly (Revealed | ItemProblem)[]): { readonly plain: number; readonly masked: number } {
  const count = (masked: boolean): number => results.filter((result) => !isProblem(result) && result.masked === masked).length;
  return { plain: count(false), masked: count(true) };
}
