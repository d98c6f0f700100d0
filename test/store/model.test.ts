import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { Store, StoreTables } from "../../src/store/store.ts";
import type { NewRecord } from "../../src/store/tables.ts";
import { codeOf, createStoreFile, metadataKey, newIdentity, noRows, openUnlocked, temporaryFolder } from "./places.ts";

/** The tables of the model: one that processes follow, with a further unique column, one that they don't, one without a MAC. */
const names = ["datasets", "counters", "auditLines"] as const;
type Name = (typeof names)[number];

/** A record of any of the three. */
type AnyRecord = NewRecord<"datasets"> | NewRecord<"counters"> | NewRecord<"auditLines">;
type AnyStored = AnyRecord & { readonly rowVersion: number };

/** Any of the three tables. */
interface AnyTable {
  get(key: AnyRecord): Promise<AnyStored | undefined>;
  list(): Promise<AnyStored[]>;
  insert(record: AnyRecord): Promise<AnyStored>;
  update(record: AnyStored): Promise<AnyStored>;
  remove(record: AnyStored): Promise<void>;
}

/** Rows by the number of their key. */
type Model = Record<Name, Map<number, AnyStored>>;

interface Real {
  store: Store;
  generation: number;
  revision: number;
  readonly reopen: (store: Store) => Promise<Store>;
}

interface Operation {
  readonly table: Name;
  readonly kind: "insert" | "update" | "remove" | "get" | "list";
  readonly key: number;
  readonly value: number;
  /** Uses a row version that is not the current one. */
  readonly stale: boolean;
}

class Abort extends Error {}

const records: Readonly<Record<Name, (key: number, value: number) => AnyRecord>> = {
  datasets: (key, value) => ({
    id: `d${key}`,
    name: `name ${value}`,
    definition: "{}",
    createdAt: value,
    removedAt: value % 2 === 0 ? null : value,
  }),
  counters: (key, value) => ({
    ...{ keyId: `k${key % 2}`, version: 1 + (key >> 1), datasetId: "", seals: value, opens: 0 },
    ...{ refusals: 0, lastOpenedAt: value % 3 === 0 ? null : value, lastRefusedAt: null },
  }),
  auditLines: (key, value) => ({ writer: `w${key % 2}`, sequence: key, line: new Uint8Array(value) }),
};

function makeRecord(operation: Operation): AnyRecord {
  return records[operation.table](operation.key, operation.value);
}

/** The operations of one transaction, on the model and on the store. */
class TransactionCommand implements fc.AsyncCommand<Model, Real> {
  readonly #operations: readonly Operation[];
  readonly #aborts: boolean;

  constructor(operations: readonly Operation[], aborts: boolean) {
    this.#operations = operations;
    this.#aborts = aborts;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const draft: Model = { datasets: new Map(model.datasets), counters: new Map(model.counters), auditLines: new Map(model.auditLines) };
    const changed = new Set<Name>();
    const work = real.store.transaction(async (tables) => {
      for (const operation of this.#operations) {
        if (await runOperation(draft, tables, operation)) changed.add(operation.table);
      }
      if (this.#aborts) throw new Abort("deliberate");
    });
    if (this.#aborts) await expect(work).rejects.toThrow(Abort);
    else {
      await work;
      Object.assign(model, draft);
      if (changed.has("datasets") || changed.has("counters")) real.generation++;
      if (changed.has("datasets")) real.revision = real.generation;
    }
    await expectEqual(model, real);
  }

  toString(): string {
    return `transaction(${JSON.stringify(this.#operations)}${this.#aborts ? ", aborted" : ""})`;
  }
}

class ReopenCommand implements fc.AsyncCommand<Model, Real> {
  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    real.store = await real.reopen(real.store);
    await expectEqual(model, real);
  }

  toString(): string {
    return "reopen()";
  }
}

/** True when a row was changed. */
async function runOperation(model: Model, tables: StoreTables, operation: Operation): Promise<boolean> {
  const rows = model[operation.table];
  const table = tables[operation.table] as unknown as AnyTable;
  const record = makeRecord(operation);
  const stored = rows.get(operation.key);
  const target = { ...record, rowVersion: (stored?.rowVersion ?? 1) + (operation.stale ? 1 : 0) };
  const takesName = [...rows].some(([key, row]) => key !== operation.key && "name" in row && "name" in record && row.name === record.name);
  const found = stored !== undefined && !operation.stale;
  switch (operation.kind) {
    case "get":
      expect(await table.get(record)).toEqual(stored);
      return false;
    case "list":
      expect(await table.list()).toEqual(sorted(model, operation.table));
      return false;
    case "insert":
      if (stored !== undefined || takesName) {
        expect(await codeOf(async () => await table.insert(record))).toBe("NAME_TAKEN");
        return false;
      }
      rows.set(operation.key, await table.insert(record));
      expect(rows.get(operation.key)).toEqual({ ...record, rowVersion: 1 });
      return true;
    case "update":
      if (!found || takesName) {
        expect(await codeOf(async () => await table.update(target))).toBe(found ? "NAME_TAKEN" : "CONFLICT");
        return false;
      }
      rows.set(operation.key, await table.update(target));
      expect(rows.get(operation.key)).toEqual({ ...record, rowVersion: stored.rowVersion + 1 });
      return true;
    case "remove":
      if (!found) {
        expect(await codeOf(async () => await table.remove(target))).toBe("CONFLICT");
        return false;
      }
      await table.remove(target);
      rows.delete(operation.key);
      return true;
  }
}

function sorted(model: Model, name: Name): AnyStored[] {
  const keyText = (row: AnyStored): string => JSON.stringify(Object.values(row).slice(0, 2));
  return [...model[name].values()].sort((a, b) => (keyText(a) < keyText(b) ? -1 : 1));
}

async function expectEqual(model: Model, { store, generation, revision }: Real): Promise<void> {
  await store.read(async (tables) => {
    for (const name of names) expect(await tables[name].list()).toEqual(sorted(model, name));
  });
  expect(await store.verify()).toEqual([]);
  expect(await store.generation()).toBe(generation);
  expect(await store.revision()).toBe(revision);
}

const operation = fc.record<Operation>({
  table: fc.constantFrom(...names),
  kind: fc.constantFrom("insert", "insert", "update", "update", "remove", "get", "list"),
  key: fc.nat(4),
  value: fc.nat(5),
  stale: fc.integer({ min: 0, max: 3 }).map((luck) => luck === 0),
});
const transaction = fc
  .tuple(fc.array(operation, { maxLength: 8 }), fc.integer({ min: 0, max: 3 }))
  .map(([operations, luck]) => new TransactionCommand(operations, luck === 0));

function emptyModel(): Model {
  return { datasets: new Map(), counters: new Map(), auditLines: new Map() };
}

describe("a store behaves like maps of rows", () => {
  it("in memory", async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands([transaction], { maxCommands: 12 }), async (commands) => {
        const store = await openMemoryStore();
        await store.create(newIdentity, metadataKey, noRows);
        const real: Real = {
          store,
          generation: await store.generation(),
          revision: await store.revision(),
          reopen: async (same) => await Promise.resolve(same),
        };
        await fc.asyncModelRun(() => ({ model: emptyModel(), real }), commands);
        await store.close();
      }),
      { numRuns: 40 },
    );
  });

  it("in a file, also when it is closed and opened in between", async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands([transaction, fc.constant(new ReopenCommand())], { maxCommands: 8 }), async (commands) => {
        using folder = temporaryFolder();
        const path = join(folder.path, "keystead.db");
        await createStoreFile(path);
        const store = await openUnlocked(path);
        await store.transaction(async ({ counters }) => {
          for (const row of await counters.list()) await counters.remove(row);
        });
        const reopen = async (old: Store): Promise<Store> => {
          await old.close();
          return await openUnlocked(path);
        };
        const real: Real = { store, generation: await store.generation(), revision: await store.revision(), reopen };
        await fc.asyncModelRun(() => ({ model: emptyModel(), real }), commands);
        await real.store.close();
      }),
      { numRuns: 15 },
    );
  });
});
