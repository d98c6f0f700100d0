import { sql, type RawBuilder } from "kysely";
import { KeysteadError } from "../../errors.ts";
import type { Page, Table } from "../store.ts";
import type { NewRecord, RecordKey, StoredRecord, TableDefinition, TableName } from "../tables.ts";
import { toStoredRecord } from "./record.ts";
import { checkRow, sealRow, tamperedRow, type OpenedRow, type SqlRow } from "./row.ts";
import type { SqlValue } from "./sql-database.ts";
import { checkColumns, checkValue, layoutOf, rowVersionColumn, toSql, type ColumnLayout, type TableLayout } from "./table-layout.ts";
import { insertion, statementSizes } from "./insertion.ts";
import type { TransactionScope } from "./transaction-scope.ts";

type Condition = readonly [column: string, value: SqlValue];

/** The rows of one table inside one transaction: every table of `tables.ts` is this class. */
export class SqlTable<N extends TableName> implements Table<N> {
  readonly #layout: TableLayout;
  readonly #scope: TransactionScope;

  constructor(definition: TableDefinition, scope: TransactionScope) {
    this.#layout = layoutOf(definition);
    this.#scope = scope;
  }

  async get(key: RecordKey<N>): Promise<StoredRecord<N> | undefined> {
    return await this.#scope.read(async () => {
      const [row] = await this.#select(this.#conditions(this.#layout.key, key));
      return row === undefined ? undefined : toStoredRecord<N>(this.#layout, this.#open(row));
    });
  }

  async list(where: Partial<NewRecord<N>> = {}, page?: Page<RecordKey<N>>): Promise<StoredRecord<N>[]> {
    return await this.#scope.read(async () => {
      const rows = await this.#select(this.#filter(where), page);
      return rows.map((row) => toStoredRecord<N>(this.#layout, this.#open(row)));
    });
  }

  async insert(record: NewRecord<N>): Promise<StoredRecord<N>> {
    return await this.#scope.write(async () => {
      const row = { values: checkColumns(this.#layout, this.#layout.columns, record), rowVersion: 1 };
      const { columns, mac } = sealRow(this.#scope.key, this.#layout, row.values, row.rowVersion);
      const { numInsertedOrUpdatedRows } = await this.#scope.sql
        .insertInto(this.#layout.name)
        .values(columns)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (numInsertedOrUpdatedRows !== 1n) throw this.#nameTaken();
      this.#scope.enter(this.#layout, { added: mac });
      return toStoredRecord<N>(this.#layout, row);
    });
  }

  async insertAll(records: readonly NewRecord<N>[]): Promise<void> {
    await this.#scope.write(async () => {
      const { sql, key } = this.#scope;
      const rows = records.map((record) => sealRow(key, this.#layout, checkColumns(this.#layout, this.#layout.columns, record), 1));
      for (const [from, count] of statementSizes(rows.length)) {
        const part = rows.slice(from, from + count);
        const { numAffectedRows } = await sql.executeQuery(insertion(sql, this.#layout, part));
        if (numAffectedRows !== BigInt(count)) {
          const failure = this.#nameTaken();
          this.#scope.fail(failure);
          throw failure;
        }
        for (const { mac } of part) this.#scope.enter(this.#layout, { added: mac });
      }
    });
  }

  async update(record: StoredRecord<N>): Promise<StoredRecord<N>> {
    return await this.#scope.write(async () => {
      const current = await this.#current(record);
      const row = { values: checkColumns(this.#layout, this.#layout.columns, record), rowVersion: current.rowVersion + 1 };
      const { columns, mac } = sealRow(this.#scope.key, this.#layout, row.values, row.rowVersion);
      let update = this.#scope.sql.updateTable(this.#layout.name).set(columns);
      for (const [column, value] of this.#versionConditions(record, current)) update = update.where(column, "=", value);
      const { numUpdatedRows } = await update.executeTakeFirstOrThrow();
      if (numUpdatedRows !== 1n) throw this.#conflict();
      this.#scope.enter(this.#layout, { removed: current.mac, added: mac });
      return toStoredRecord<N>(this.#layout, row);
    });
  }

  async remove(record: StoredRecord<N>): Promise<void> {
    await this.#scope.write(async () => {
      const current = await this.#current(record);
      let removal = this.#scope.sql.deleteFrom(this.#layout.name);
      for (const [column, value] of this.#versionConditions(record, current)) removal = removal.where(column, "=", value);
      const { numDeletedRows } = await removal.executeTakeFirstOrThrow();
      if (numDeletedRows !== 1n) throw this.#conflict();
      this.#scope.enter(this.#layout, { removed: current.mac });
    });
  }

  async #select(conditions: readonly Condition[], page?: Page<RecordKey<N>>): Promise<SqlRow[]> {
    const descending = page?.descending === true;
    let query = this.#scope.sql.selectFrom(this.#layout.name).select(this.#layout.sqlNames);
    for (const [column, value] of conditions) query = value === null ? query.where(column, "is", null) : query.where(column, "=", value);
    for (const column of this.#layout.key) query = query.orderBy(column.sqlName, descending ? "desc" : "asc");
    if (page === undefined) return await query.execute();
    const { after, limit } = page;
    if (!Number.isSafeInteger(limit) || limit < 1) throw new KeysteadError("INVALID_ARGUMENT", "the limit of a page is an integer from 1");
    if (after !== undefined) query = query.where(this.#behind(after, conditions, descending));
    return await query.limit(limit).execute();
  }

  /** Compares only key columns that no condition fixes, so that an index finds the first row of the page. */
  #behind(after: RecordKey<N>, conditions: readonly Condition[], descending: boolean): RawBuilder<boolean> {
    const open = this.#conditions(this.#layout.key, after).filter(([column]) => !conditions.some(([fixed]) => fixed === column));
    if (open.length === 0) return sql`1 = 0`;
    const columns = sql.join(open.map(([column]) => sql.ref(column)));
    const values = sql.join(open.map(([, value]) => sql.val(value)));
    return descending ? sql`(${columns}) < (${values})` : sql`(${columns}) > (${values})`;
  }

  /** The row as it is stored now, while it still has the version that the caller read. */
  async #current(record: StoredRecord<N>): Promise<OpenedRow> {
    const [row] = await this.#select(this.#conditions(this.#layout.key, record));
    const current = row === undefined ? undefined : this.#open(row);
    if (current?.rowVersion !== record.rowVersion) throw this.#conflict();
    return current;
  }

  #open(row: SqlRow): OpenedRow {
    const { row: opened, problem } = checkRow(this.#scope.key, this.#layout, row);
    if (opened === undefined || problem !== undefined) throw tamperedRow(this.#layout, row, problem ?? "it can't be read");
    return opened;
  }

  #conditions(columns: readonly ColumnLayout[], record: object): Condition[] {
    const values = checkColumns(this.#layout, columns, record);
    return columns.map((column) => [column.sqlName, toSql(values[column.property] ?? null)]);
  }

  #versionConditions(record: StoredRecord<N>, current: OpenedRow): Condition[] {
    return [...this.#conditions(this.#layout.key, record), [rowVersionColumn, toSql(current.rowVersion)]];
  }

  #filter(where: object): Condition[] {
    return Object.entries(where).map(([property, value]: [string, unknown]) => {
      const column = this.#layout.columns.find((candidate) => candidate.property === property);
      if (column === undefined)
        throw new KeysteadError("INVALID_ARGUMENT", `${this.#layout.name} has no such column: list by one that it has`);
      return [column.sqlName, toSql(checkValue(this.#layout, column, value))];
    });
  }

  #nameTaken(): KeysteadError {
    const names = this.#layout.uniqueNames.join(", or ");
    return new KeysteadError("NAME_TAKEN", `${this.#layout.name} has a row with the same ${names} already: choose another`);
  }

  #conflict(): KeysteadError {
    return new KeysteadError("CONFLICT", `the row of ${this.#layout.name} was changed or removed meanwhile: read it again and repeat`);
  }
}
