import { anything, assertArguments, flag, object, optional, text } from "../arguments.ts";
import { findAlgorithm } from "../crypto/algorithms.ts";
import { KeysteadError } from "../errors.ts";
import { systemClock } from "../clock.ts";
import { withMetadataKey } from "../keys/create-store.ts";
import { takeBack } from "../keys/hand-over.ts";
import { writeSetting } from "../keys/settings.ts";
import { movedTo } from "../keys/store-history.ts";
import { closeParts, Keystead, type KeysteadOptions, type KeysteadParts, openParts, optionRules } from "../keystead.ts";
import { copyStore } from "../store/copy-store.ts";
import { openStore } from "../store/open-store.ts";
import type { Store, StoreTables } from "../store/store.ts";

/** How a store is copied. */
export interface CopyOptions {
  /** The copy takes the place of the original, which from then on refuses all use and names the copy. Default false. */
  readonly move?: boolean;
  /** Told now and then how many rows are written. */
  readonly onProgress?: (rows: number) => void;
}

/** What came of a copy. */
export interface StoreCopyReport {
  /** URLs without credentials. */
  readonly from: string;
  readonly to: string;
  readonly rows: number;
  /** Keys that open in the copy and seal nothing before they are rotated. */
  readonly keysToRotate: readonly string[];
}

const copyArguments = {
  options: object(optionRules),
  to: text,
  how: object<CopyOptions>({ move: optional(flag), onProgress: optional(anything) }),
};

/**
 * Copies a whole store to an empty place, of whatever kind, and compares both row by row. An interrupted copy leaves nothing there.
 *
 * In the copy each key that encrypts is rotated before it seals again: the original may go on with the same versions, and neither would
 * know of the other's messages. What was sealed before opens at once.
 *
 * @param options - How the original is opened.
 * @param to - URL of the copy. The master keys stay what they are.
 * @throws KeysteadError as `openKeystead`; `STORE_EXISTS` when the place is taken, `ACCESS_DENIED`
 * @example
 * await copyKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" }, "postgresql://keystead@db.internal/registry", { move: true });
 */
export async function copyKeystead(options: KeysteadOptions, to: string, how: CopyOptions = {}): Promise<StoreCopyReport> {
  assertArguments({ options, to, how }, copyArguments);
  const { move = false, onProgress } = how;
  if (to.startsWith("memory:")) throw new KeysteadError("INVALID_ARGUMENT", "a store in memory ends with this process: name another place");
  const target = await openStore(to, { clock: systemClock, create: true }).catch(ofPlace);
  try {
    if (await target.exists().catch(ofPlace))
      throw new KeysteadError("STORE_EXISTS", `there is a store at ${target.url} already; choose another place`);
    await announce(options, target.url, move);
    const parts = await openParts(options, false);
    try {
      return await copy(parts, target, onProgress).catch(async (error: unknown) => {
        // Nothing took its place, so it goes on. When that fails, too, running the command again moves it.
        if (move) await takeBack(parts.store).catch(() => undefined);
        throw error;
      });
    } finally {
      await closeParts(parts);
    }
  } finally {
    await target.close();
  }
}

/** Says that it is not the original that can't be used. */
function ofPlace(error: unknown): never {
  if (!(error instanceof KeysteadError)) throw error;
  throw new KeysteadError(error.code, `the place for the copy can't be used: ${error.message}`, { cause: error.cause });
}

/** Records the copy where it begins: the copy has the record, too, and the last checkpoint. */
async function announce(options: KeysteadOptions, place: string, move: boolean): Promise<void> {
  const parts = await openParts(options, false);
  let keystead: Keystead | undefined;
  try {
    const identity = await withMetadataKey(parts.store, parts.keks, (metadataKey) => parts.store.unlock(metadataKey));
    keystead = await Keystead.start(options, parts, identity);
    await keystead.handOver(place, move);
  } finally {
    await (keystead?.close() ?? closeParts(parts));
  }
}

async function copy({ store, keks, clock }: KeysteadParts, target: Store, onProgress?: (rows: number) => void): Promise<StoreCopyReport> {
  const rows = await withMetadataKey(store, keks, async (metadataKey) => {
    const identity = await store.unlock(metadataKey);
    const amend = async (tables: StoreTables): Promise<void> => {
      const newest = Math.max(0, ...(await tables.versions.list()).map(({ createdAt }) => createdAt));
      await writeSetting(tables, "copiedAt", Math.max(newest, clock.now()));
    };
    const leftOut = [movedTo, "copiedAt"];
    return await copyStore(store, target, { identity, metadataKey, leftOut, amend, ...(onProgress !== undefined && { onProgress }) });
  });
  const keysToRotate = await target.read(async (tables) => {
    const keys = await tables.keys.list();
    return keys.filter(({ algorithm }) => findAlgorithm(algorithm).kind === "aead").map(({ name }) => name);
  });
  return { from: store.url, to: target.url, rows, keysToRotate: keysToRotate.sort() };
}
