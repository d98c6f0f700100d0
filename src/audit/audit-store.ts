/** A row of the store's audit lines. */
export interface AuditLineRow {
  readonly writer: string;
  readonly sequence: number;
  /** The exact bytes that were written, without the newline. */
  readonly line: Uint8Array;
}

/** A row of the store's checkpoints. */
export interface CheckpointRow {
  /** SHA-256 of `body`, hexadecimal. */
  readonly hash: string;
  /** Hash of the checkpoint before; empty for the first. */
  readonly previous: string;
  /** Milliseconds since 1970. Not signed: a help to the reader, nothing more. */
  readonly takenAt: number;
  readonly generation: number;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  readonly signer: string;
}

/** A part of a table's rows, in the order of the primary key. */
export interface AuditPage<Key> {
  /** Rows behind this key. Absent: from the first on. */
  readonly after?: Key;
  readonly limit: number;
  /** From the last row to the first. Default false. */
  readonly descending?: boolean;
}

/** Primary key of an audit line. */
export type LineKey = Pick<AuditLineRow, "writer" | "sequence">;

/** What the audit needs of a table: rows are added and read, never changed. */
export interface AuditTable<Row, Key> {
  get(key: Key): Promise<Row | undefined>;
  /** Rows whose columns equal those of `where`, ordered by primary key: all of them, or a page. */
  list(where?: Partial<Row>, page?: AuditPage<Key>): Promise<Row[]>;
  /** @throws KeysteadError `NAME_TAKEN` when it exists already */
  insert(row: Row): Promise<unknown>;
  /** @throws KeysteadError `NAME_TAKEN` when one of them exists already; the transaction then can't commit */
  insertAll(rows: readonly Row[]): Promise<void>;
}

/** The tables of the audit. */
export interface AuditTables {
  readonly auditLines: AuditTable<AuditLineRow, LineKey>;
  readonly checkpoints: AuditTable<CheckpointRow, { readonly hash: string }>;
}

/** Lines of one writer that follow each other. */
export interface LineBlock {
  readonly writer: string;
  /** Number of the first line. */
  readonly first: number;
  /** Number of the last line. */
  readonly last: number;
  /** Whole lines, each with its newline. */
  readonly pieces: readonly Buffer[];
}

/** The part of a `Store` that the audit uses; every `Store` is one. */
export interface AuditStore {
  /** One consistent snapshot. */
  read<T>(work: (tables: AuditTables) => Promise<T>): Promise<T>;
  /** Serialisable; commits when `work` resolves, rolls back when it rejects. */
  transaction<T>(work: (tables: AuditTables) => Promise<T>): Promise<T>;
  /** Adds lines in one transaction. Their memory is used again once it is over. Absent where {@link transaction} is as good. */
  appendLines?(lines: LineBlock): Promise<void>;
  /** Manifest generation. */
  generation(): Promise<number>;
}
