/**
 * Every record that Keystead stores, as data: from these lists come the TypeScript types, the order in which the row MAC
 * covers the columns, and the repositories. Columns are only ever added at the end, each with the row format that brings it
 * (`CONTRIBUTING.md`, section A further column): rows of an older format stay as they are until they are next updated.
 *
 * `guard` says how a table is protected: rows of `followed` and `quiet` tables carry a MAC and count in the manifest's sum; processes
 * follow each change of a `followed` one, while `quiet` ones change too often for that; `none` rows decide nothing.
 */
type ColumnType = "text" | "text?" | "integer" | "integer?" | "bytes" | "bytes?";

/** The JavaScript value of a column. Integers stay within ±2^53; instants are milliseconds since 1970, UTC. */
type ColumnValue<T extends ColumnType> = T extends "text"
  ? string
  : T extends "text?"
    ? string | null
    : T extends "integer"
      ? number
      : T extends "integer?"
        ? number | null
        : T extends "bytes"
          ? Uint8Array
          : Uint8Array | null;

/** A column that came after row format 1. */
export interface AddedColumn {
  /** The row format that brought it: 2, 3 … */
  readonly format: number;
  /** Its value in rows of older formats: the default that the migration gives it. */
  readonly value: string | number | Uint8Array | null;
}

/** How one table is stored and protected. */
export interface TableDefinition {
  readonly name: string;
  readonly guard: "followed" | "quiet" | "none";
  /** Every column, in the order of the row MAC. */
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Those of {@link columns} that row format 1 does not have. Never a column of the key. */
  readonly added?: Readonly<Record<string, AddedColumn>>;
  /** Primary key columns, in order. */
  readonly key: readonly string[];
  /** Further unique combinations. */
  readonly unique: readonly (readonly string[])[];
}

function table<const C extends Record<string, ColumnType>, const K extends readonly (keyof C & string)[]>(
  name: string,
  guard: TableDefinition["guard"],
  key: K,
  columns: C,
  unique: readonly (readonly (keyof C & string)[])[] = [],
  added: Partial<Record<keyof C & string, AddedColumn>> = {},
): {
  readonly name: string;
  readonly guard: typeof guard;
  readonly key: K;
  readonly columns: C;
  readonly unique: typeof unique;
  readonly added: typeof added;
} {
  return { name, guard, key, columns, unique, added };
}

/** The tables, by the name of their repository. */
export const tables = {
  /** KEKs that wrap or wrapped keys of this store. `derivation`: passphrase parameters, no secret. */
  keks: table("keks", "followed", ["uri"], { uri: "text", kekId: "text", derivation: "text?", createdAt: "integer" }),
  /** Wrapped store key (`subject` = `store`) and keyset keys (`subject` = key id). Several KEKs may wrap one subject. */
  wraps: table("wraps", "followed", ["subject", "kekUri"], {
    subject: "text",
    kekUri: "text",
    kekId: "text",
    wrapped: "bytes",
    createdAt: "integer",
  }),
  /** `usages`: sorted, joined by commas. `tags`: JSON object of strings. `currentVersion`: the pointer. */
  keys: table(
    "keys",
    "followed",
    ["id"],
    {
      id: "text",
      name: "text",
      purpose: "text",
      usages: "text",
      algorithm: "text",
      tags: "text",
      rotationDays: "integer?",
      currentVersion: "integer?",
      createdAt: "integer",
    },
    [["name"]],
  ),
  /**
   * `state`: pre-active, active, suspended, deactivated, compromised, destroyed. `destroyAt` not null: destruction pending.
   * `currentFrom`: from when any process may make a published version current. `material`: sealed by the keyset key, null once destroyed.
   */
  versions: table("versions", "followed", ["keyId", "version"], {
    keyId: "text",
    version: "integer",
    fingerprint: "text",
    state: "text",
    stateAt: "integer",
    stateReason: "text",
    materialFormat: "text",
    material: "bytes?",
    publicKey: "bytes?",
    createdAt: "integer",
    activateAt: "integer?",
    currentFrom: "integer?",
    expiresAt: "integer?",
    destroyAt: "integer?",
  }),
  aliases: table("aliases", "followed", ["alias"], { alias: "text", keyId: "text" }),
  /** `algorithms`: allowed ones, joined by commas; empty = all. `hardware`: 1 = only a hardware-backed KEK. */
  purposes: table("purposes", "followed", ["name"], {
    name: "text",
    description: "text",
    defaultKey: "text?",
    rotationDays: "integer?",
    algorithms: "text",
    hardware: "integer",
  }),
  /** `purpose` and `namePrefix` both null: the default route. */
  routes: table("routes", "followed", ["id"], { id: "text", purpose: "text?", namePrefix: "text?", kekUri: "text" }),
  settings: table("settings", "followed", ["name"], { name: "text", value: "text" }),
  /** `definition`: JSON. A removed dataset keeps its row: the destroy gate asks every dataset ever registered. */
  datasets: table(
    "datasets",
    "followed",
    ["id"],
    { id: "text", name: "text", definition: "text", createdAt: "integer", removedAt: "integer?" },
    [["name"]],
  ),
  /** `state`: building, live, leaving, retired. `columns`: JSON array of logical column names. `parameters`: JSON. */
  indexGenerations: table("index_generations", "followed", ["datasetId", "indexName", "generation"], {
    datasetId: "text",
    indexName: "text",
    generation: "integer",
    column: "text",
    columns: "text",
    kind: "text",
    normaliser: "text",
    normaliserVersion: "text",
    unicodeVersion: "text",
    bits: "integer",
    parameters: "text",
    keyId: "text",
    keyVersion: "integer",
    state: "text",
    createdAt: "integer",
  }),
  /** What a census found. `counts`: JSON. The destroy gate reads how long a version has been at zero. */
  censuses: table("censuses", "followed", ["id"], { id: "text", datasetId: "text", takenAt: "integer", counts: "text" }),
  tombstones: table("tombstones", "followed", ["keyId", "version"], {
    keyId: "text",
    version: "integer",
    fingerprint: "text",
    destroyedAt: "integer",
    certificate: "text",
  }),
  /** `datasetId` empty: seals outside datasets. `seals` counts leased blocks: never less than what was sealed. */
  counters: table("counters", "quiet", ["keyId", "version", "datasetId"], {
    keyId: "text",
    version: "integer",
    datasetId: "text",
    seals: "integer",
    opens: "integer",
    refusals: "integer",
    lastOpenedAt: "integer?",
    lastRefusedAt: "integer?",
  }),
  /** `state`: running, paused, done, cancelled, failed. `progress`: JSON. `lease*`: who works on it until when. */
  jobs: table("jobs", "quiet", ["id"], {
    id: "text",
    datasetId: "text",
    kind: "text",
    state: "text",
    progress: "text",
    leaseOwner: "text?",
    leaseUntil: "integer?",
    createdAt: "integer",
    updatedAt: "integer",
  }),
  /** `effect`: allow, deny, approve. `actions`: JSON array of patterns. `scope`: JSON, for what, when and in which context it holds. */
  policies: table("policies", "followed", ["id"], {
    id: "text",
    effect: "text",
    subject: "text",
    actions: "text",
    scope: "text",
    description: "text",
    createdAt: "integer",
    createdBy: "text",
    updatedAt: "integer",
    updatedBy: "text",
  }),
  /** `subject`: whom it is about, as in policies. `roles`: JSON array. `disabled`: 1 = may do nothing. */
  principals: table("principals", "followed", ["subject"], {
    subject: "text",
    roles: "text",
    disabled: "integer",
    description: "text",
    createdAt: "integer",
    createdBy: "text",
    updatedAt: "integer",
    updatedBy: "text",
  }),
  /** `hash`: SHA-256 of the token. `createdBy`: `<source>:<id>`, which may be another token. `roles`, `scope`: JSON. */
  tokens: table("tokens", "followed", ["id"], {
    id: "text",
    hash: "bytes",
    name: "text",
    roles: "text",
    scope: "text",
    createdAt: "integer",
    createdBy: "text",
    expiresAt: "integer",
    revokedAt: "integer?",
    revokedBy: "text?",
  }),
  /**
   * `state`: pending, approved, rejected, used. `requester`: the principal, `person`: who is behind it. `act`: JSON, all that is asked for;
   * `digest`: SHA-256 of it and of the requester, base64url.
   */
  approvals: table("approvals", "followed", ["id"], {
    id: "text",
    state: "text",
    requester: "text",
    person: "text",
    policy: "text",
    action: "text",
    act: "text",
    digest: "text",
    requestedAt: "integer",
    expiresAt: "integer",
    decidedAt: "integer?",
    decidedBy: "text?",
    decisionReason: "text?",
  }),
  /**
   * Prefixes of nonces that were leased to clients. A row stays for as long as there may be ciphertext with its prefix: it vouches that the
   * prefix is a client's. `prefix`: base64url, as ciphertext has it. `principal`: `<source>:<id>`. `messages`: leased, less what came back.
   */
  leases: table(
    "leases",
    "quiet",
    ["id"],
    {
      id: "text",
      prefix: "text",
      keyId: "text",
      version: "integer",
      datasetId: "text",
      principal: "text",
      messages: "integer",
      createdAt: "integer",
      expiresAt: "integer",
      releasedAt: "integer?",
      revokedAt: "integer?",
      revokedBy: "text?",
    },
    [["prefix"]],
  ),
  /** Audit lines as the exact bytes that were written. */
  auditLines: table("audit_lines", "none", ["writer", "sequence"], { writer: "text", sequence: "integer", line: "bytes" }),
  /** Signed checkpoints over the audit chains. `body`: the signed bytes; `hash`: SHA-256 of it, hex. `previous` is unique: one chain, no forks. */
  checkpoints: table(
    "checkpoints",
    "none",
    ["hash"],
    {
      hash: "text",
      previous: "text",
      takenAt: "integer",
      generation: "integer",
      body: "bytes",
      signature: "bytes",
      signer: "text",
    },
    [["previous"]],
  ),
} as const satisfies Record<string, TableDefinition>;

/** Names of the repositories of a {@link StoreTables}. */
export type TableName = keyof typeof tables;

/** A definition of every table. */
export type TableDefinitions = Readonly<Record<TableName, TableDefinition>>;

type Columns<N extends TableName> = (typeof tables)[N]["columns"];

/** A row of a table, as it is inserted. */
export type NewRecord<N extends TableName> = { readonly [C in keyof Columns<N>]: ColumnValue<Columns<N>[C] & ColumnType> };

/** A stored row: `rowVersion` grows by one with each update (optimistic concurrency). */
export type StoredRecord<N extends TableName> = NewRecord<N> & { readonly rowVersion: number };

/** The primary key of a table as an object. */
export type RecordKey<N extends TableName> = Pick<NewRecord<N>, (typeof tables)[N]["key"][number] & keyof NewRecord<N>>;
