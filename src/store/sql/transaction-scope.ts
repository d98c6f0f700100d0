import type { KeyObject } from "node:crypto";
import { isKeysteadError, KeysteadError, type ErrorCode } from "../../errors.ts";
import type { Sql } from "./sql-database.ts";
import type { TableLayout } from "./table-layout.ts";
import { TableSums } from "./table-sums.ts";

/** After these a transaction may go on: the statement did nothing, and what came before it stands. */
const recoverable: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["NAME_TAKEN", "CONFLICT", "INVALID_ARGUMENT"]);

/**
 * One transaction or snapshot: what its tables share, and the rule that nothing commits which is not whole.
 *
 * - After a failure of the store nothing more runs and nothing commits, even if the caller caught the error: a database may
 *   have rolled back by itself, and what follows would be committed on its own.
 * - An operation that nobody awaited would leave a row without its entry in the manifest: the transaction is refused.
 */
export class TransactionScope {
  readonly sql: Sql;
  readonly key: KeyObject;
  /** What becomes of the manifest's sums. */
  readonly changes = new TableSums();
  readonly #writable: boolean;
  #followed = false;
  readonly #running = new Set<Promise<unknown>>();
  #failure: Error | undefined;
  #ended = false;

  constructor(sql: Sql, key: KeyObject, writable: boolean) {
    this.sql = sql;
    this.key = key;
    this.#writable = writable;
  }

  /** True when a row changed that other processes follow. */
  get followed(): boolean {
    return this.#followed;
  }

  /** Enters a changed row into the manifest's sums, by its MACs. */
  enter({ name, guard }: TableLayout, { removed, added }: { readonly removed?: Uint8Array; readonly added?: Uint8Array }): void {
    if (guard === "none") return;
    if (removed !== undefined) this.changes.remove(name, removed);
    if (added !== undefined) this.changes.add(name, added);
    this.#followed ||= guard === "followed";
  }

  /** Runs an operation that reads. */
  async read<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#ended)
      throw new KeysteadError("INTERNAL", "a table was used after its transaction ended: await every operation inside of it");
    if (this.#failure !== undefined) throw this.#failure;
    const running = operation();
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      this.#remember(error);
      throw error;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Runs an operation that writes. */
  async write<T>(operation: () => Promise<T>): Promise<T> {
    if (!this.#writable) throw new KeysteadError("INTERNAL", "a snapshot can't be written to: use a transaction");
    return await this.read(operation);
  }

  /** The tables can't be used from here on. Resolves once nothing runs any more. */
  async end(): Promise<void> {
    this.#ended = true;
    if (this.#running.size > 0) {
      this.#failure ??= new KeysteadError("INTERNAL", "a transaction ended before its operations did: await every operation inside of it");
    }
    await Promise.allSettled(this.#running);
  }

  /** Keeps the transaction from committing. */
  fail(failure: Error): void {
    this.#failure ??= failure;
  }

  /** Throws when what ran may not commit. */
  assertWhole(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #remember(error: unknown): void {
    if (isKeysteadError(error) && recoverable.has(error.code)) return;
    this.#failure ??= error instanceof Error ? error : new KeysteadError("INTERNAL", "an operation of the store failed", { cause: error });
  }
}
