import type { KeyObject } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { KeysteadError } from "../errors.ts";
import type { Store, StoreIdentity, StoreTables, Table } from "./store.ts";
import { tampered } from "./tampered.ts";
import { type RecordKey, type StoredRecord, type TableName, tables } from "./tables.ts";

const pageSize = 500;
const tableNames = Object.keys(tables).filter((name): name is TableName => name in tables);

/** What a copy is made with. */
export interface StoreCopyOptions {
  readonly identity: StoreIdentity;
  readonly metadataKey: KeyObject;
  /** Rows of the settings that are not copied. */
  readonly leftOut: readonly string[];
  /** Writes what only the copy has. */
  readonly amend: (tables: StoreTables) => Promise<void>;
  /** Told now and then how many rows are written. */
  readonly onProgress?: (rows: number) => void;
}

/**
 * Copies an unlocked store into an empty place, from one snapshot and in one transaction: an interrupted copy leaves nothing. Then reads
 * both and compares every row. The generation of the copy begins above the original's.
 *
 * @returns how many rows were copied
 * @throws KeysteadError `STORE_EXISTS` when the place is taken, `STORE_TAMPERED`, and what either store says
 */
export async function copyStore(from: Store, to: Store, options: StoreCopyOptions): Promise<number> {
  const above = await from.generation();
  let isMade = false;
  const rows = await from.read(async (source) => {
    // A snapshot whose connection was lost is read again: what was made before must be its copy, too.
    if (!isMade) await to.create(options.identity, options.metadataKey, (target) => fill(source, target, options), { above });
    isMade = true;
    return await to.read((target) => compare(source, target, options.leftOut));
  });
  await to.raiseGeneration(await from.generation());
  const damage = await to.verify();
  if (damage.length > 0) throw tampered(damage);
  return rows;
}

async function fill(source: StoreTables, target: StoreTables, { leftOut, amend, onProgress }: StoreCopyOptions): Promise<void> {
  let written = 0;
  const fillTable = async <N extends TableName>(name: N, from: Table<N>, to: Table<N>): Promise<void> => {
    for await (const page of pagesOf<N>(from)) {
      for (const row of page) if (!isLeftOut(name, row, leftOut)) await to.insert(row);
      onProgress?.((written += page.length));
    }
  };
  for (const name of tableNames) await eachTable(name, source, target, fillTable);
  await amend(target);
}

/** Every row that was to be copied is there as it was, and no other. */
async function compare(source: StoreTables, target: StoreTables, leftOut: readonly string[]): Promise<number> {
  let rows = 0;
  const compareTable = async <N extends TableName>(name: N, from: Table<N>, to: Table<N>): Promise<void> => {
    const copies = rowsOf<N>(name, to, leftOut);
    for await (const row of rowsOf<N>(name, from, leftOut)) {
      const copy = await copies.next();
      if (copy.done === true || !isDeepStrictEqual({ ...copy.value, rowVersion: 0 }, { ...row, rowVersion: 0 })) throw differs(name);
      rows += 1;
    }
    if ((await copies.next()).done !== true) throw differs(name);
  };
  for (const name of tableNames) await eachTable(name, source, target, compareTable);
  return rows;
}

type TableWork = <N extends TableName>(name: N, source: Table<N>, target: Table<N>) => Promise<void>;

async function eachTable<N extends TableName>(
  name: N,
  source: Pick<StoreTables, N>,
  target: Pick<StoreTables, N>,
  work: TableWork,
): Promise<void> {
  await work<N>(name, source[name], target[name]);
}

async function* rowsOf<N extends TableName>(
  name: N,
  table: Table<N>,
  leftOut: readonly string[],
): AsyncGenerator<StoredRecord<N>, undefined> {
  for await (const page of pagesOf<N>(table)) for (const row of page) if (!isLeftOut(name, row, leftOut)) yield row;
  return undefined;
}

async function* pagesOf<N extends TableName>(table: Table<N>): AsyncGenerator<readonly StoredRecord<N>[], undefined> {
  let after: RecordKey<N> | undefined;
  for (;;) {
    const page = await table.list({}, { limit: pageSize, ...(after !== undefined && { after }) });
    if (page.length > 0) yield page;
    if (page.length < pageSize) return undefined;
    after = page.at(-1);
  }
}

function isLeftOut(name: TableName, row: object, leftOut: readonly string[]): boolean {
  return name === "settings" && "name" in row && typeof row.name === "string" && leftOut.includes(row.name);
}

function differs(name: TableName): KeysteadError {
  return new KeysteadError(
    "STORE_FAILED",
    `the copy's table ${tables[name].name} is not what the original holds: drop the copy, and copy again while nothing else changes it`,
  );
}
