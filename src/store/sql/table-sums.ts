const modulus = 1n << 256n;
const sumBytes = 32;

/** How many rows a table has, and the sum of their MACs modulo 2^256. */
export interface TableSum {
  readonly rows: number;
  readonly sum: bigint;
}

const emptySum: TableSum = { rows: 0, sum: 0n };

/**
 * Row counts and MAC sums of the tables that the manifest covers, or how they change in a transaction.
 * A row that is deleted, added back or replayed leaves its table with another sum than the manifest's.
 */
export class TableSums {
  readonly #tables = new Map<string, TableSum>();

  /** The sums as the manifest holds them; undefined when the text is not what {@link TableSums.format} makes. */
  static parse(text: string): TableSums | undefined {
    const sums = new TableSums();
    for (const line of text === "" ? [] : text.split("\n")) {
      const match = /^([a-z_]+) (\d{1,15}) ([0-9a-f]{64})$/.exec(line);
      if (match === null) return undefined;
      const [, table = "", rows = "", sum = ""] = match;
      sums.#tables.set(table, { rows: Number(rows), sum: BigInt(`0x${sum}`) });
    }
    return sums;
  }

  /** One line for each table that has rows, sorted by name: `name rows sum`, the sum as 64 hexadecimal digits. */
  format(): string {
    return [...this.#tables]
      .filter(([, { rows }]) => rows > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([table, { rows, sum }]) => `${table} ${rows} ${sum.toString(16).padStart(2 * sumBytes, "0")}`)
      .join("\n");
  }

  of(table: string): TableSum {
    return this.#tables.get(table) ?? emptySum;
  }

  add(table: string, mac: Uint8Array): void {
    this.#change(table, { rows: 1, sum: toInteger(mac) });
  }

  remove(table: string, mac: Uint8Array): void {
    this.#change(table, { rows: -1, sum: -toInteger(mac) });
  }

  /** True when no row was added or removed, even one that came back to what it was. */
  get unchanged(): boolean {
    return this.#tables.size === 0;
  }

  /** These sums with the changes of a transaction. */
  plus(changes: TableSums): TableSums {
    const sums = new TableSums();
    for (const part of [this, changes]) for (const [table, sum] of part.#tables) sums.#change(table, sum);
    return sums;
  }

  /** The sum over all tables, 32 bytes, big-endian. */
  total(): Buffer {
    const total = [...this.#tables.values()].reduce((sum, table) => sum + table.sum, 0n) % modulus;
    return Buffer.from(total.toString(16).padStart(2 * sumBytes, "0"), "hex");
  }

  #change(table: string, change: TableSum): void {
    const before = this.of(table);
    this.#tables.set(table, { rows: before.rows + change.rows, sum: (((before.sum + change.sum) % modulus) + modulus) % modulus });
  }
}

function toInteger(mac: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(mac).toString("hex")}`);
}
