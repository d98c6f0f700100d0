import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalText, type CanonicalType, canonicalTypes, defineFields, RecordCipher } from "../../src/fields/index.ts";
import { type Crm, createCrm, personDataset, problemsOf } from "./support/crm.ts";

/** One value of a context column: as a record of the application holds it, and as its table does. */
interface Sample {
  readonly record: unknown;
  readonly cell: SQLInputValue;
}

interface Column {
  readonly type: CanonicalType;
  readonly declared: string;
  /** Given where the declaration does not tell. */
  readonly given?: CanonicalType;
  readonly samples: fc.Arbitrary<Sample>;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const instant = fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true });

/** The same instant as a text of some zone. */
const zoned = (date: Date): fc.Arbitrary<string> =>
  fc.tuple(fc.integer({ min: -719, max: 719 }), fc.constantFrom(" ", "T")).map(([minutes, between]) => {
    const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 23).replace("T", between);
    const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map((part) => String(part).padStart(2, "0"));
    return `${local}${minutes < 0 ? "-" : "+"}${hours ?? ""}:${rest ?? ""}`;
  });

/** The same number in several spellings. */
const spelt = (digits: bigint, scale: number): fc.Arbitrary<string> =>
  fc.nat(4).map((zeros) => `${digits.toString()}${"0".repeat(zeros)}e${String(scale - zeros)}`);

/** Every canonical type in a column that is declared with it, and some in columns that are not. */
const columns: readonly Column[] = [
  {
    type: "integer",
    declared: "BIGINT",
    samples: int64.chain((value) =>
      fc
        .constantFrom<unknown>(
          value,
          value.toString(),
          ...(BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? [Number(value)] : []),
        )
        .map((record) => ({ record, cell: value })),
    ),
  },
  {
    type: "integer",
    declared: "TEXT",
    given: "integer",
    samples: fc
      .bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
      .map((value) => ({ record: value, cell: `${value < 0n ? "-" : ""}00${String(value).replace("-", "")}` })),
  },
  {
    type: "numeric",
    declared: "DECIMAL(20,2)",
    samples: int64.chain((value) => spelt(value, 0).map((record) => ({ record, cell: value }))),
  },
  {
    type: "numeric",
    declared: "TEXT",
    given: "numeric",
    samples: fc
      .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: -40, max: 40 }))
      .chain(([digits, scale]) => fc.record({ record: spelt(digits, scale), cell: spelt(digits, scale) })),
  },
  {
    type: "boolean",
    declared: "BOOLEAN",
    samples: fc
      .boolean()
      .chain((truth) => fc.constantFrom<unknown>(truth, Number(truth), BigInt(truth)).map((record) => ({ record, cell: Number(truth) }))),
  },
  {
    type: "uuid",
    declared: "UUID",
    samples: fc.uuid().chain((uuid) => {
      const cases = fc.constantFrom(uuid, uuid.toUpperCase());
      return fc.record({ record: cases, cell: cases });
    }),
  },
  {
    type: "date",
    declared: "DATE",
    samples: instant.map((date) => date.toISOString().slice(0, 10)).map((text) => ({ record: text, cell: text })),
  },
  {
    type: "timestamptz",
    declared: "TIMESTAMP WITH TIME ZONE",
    samples: instant.chain((date) =>
      fc.record({ record: fc.oneof<fc.Arbitrary<unknown>[]>(fc.constant(date), zoned(date)), cell: zoned(date) }),
    ),
  },
  {
    type: "timestamptz",
    declared: "DATETIME",
    given: "timestamptz",
    samples: instant.map((date) => ({ record: date, cell: date.toISOString() })),
  },
  {
    type: "text",
    declared: "VARCHAR(20)",
    samples: fc
      .oneof(fc.string({ unit: "binary" }), fc.constantFrom("", "007", " 1", "1.50", "true", "a\0b", "\ufeffé"))
      .map((text) => ({ record: text, cell: text })),
  },
  { type: "bytes", declared: "BLOB", samples: fc.uint8Array().map((bytes) => ({ record: bytes, cell: bytes })) },
];

const datasetIndex = { columns: ["name"], column: "name_index", key: "bi", kind: "exact", normalisers: ["text"], bits: 64 };

async function createPeople({ declared, given }: Column): Promise<Crm> {
  const crm = await createCrm(`CREATE TABLE person (id INTEGER PRIMARY KEY, bound ${declared}, name TEXT, name_index TEXT)`);
  const contextTypes = given === undefined ? {} : { contextTypes: { bound: given } };
  const context = { bound: "b{bound}", row: "{id}" };
  await crm.keystead.datasets.add(
    "crm.person",
    personDataset({ name: "pii" }, { context, ...contextTypes, indexes: { name: datasetIndex } }),
  );
  return crm;
}

/** What the application has: the keys, and the definition that the registry gives it. */
async function openPeople({ keystead }: Crm) {
  const person = defineFields({ name: { key: "pii", type: "string" } }, await keystead.datasets.recordDefinition("crm.person"));
  const key = await keystead.open("pii", { dataset: "crm.person" });
  return new RecordCipher(person, { pii: key, bi: await keystead.open("bi", { dataset: "crm.person" }) });
}

/** Every row as a driver gives it; then the application's own value of the context column, too. */
function readPeople(database: DatabaseSync): Record<string, unknown>[] {
  return database.prepare("SELECT * FROM person ORDER BY id").all();
}

describe("a record of the application and a row of the dataset", () => {
  it("are tried for every canonical type", () => {
    expect([...new Set(columns.map(({ type }) => type))].sort()).toEqual([...canonicalTypes].sort());
  });

  it.each(columns)("have the same context and token: $type in a column $declared", { timeout: 60_000 }, async (column) => {
    const crm = await createPeople(column);
    const { keystead, database } = crm;
    const people = await openPeople(crm);
    const { datasets } = keystead;
    const insert = database.prepare("INSERT INTO person VALUES (?, ?, ?, ?)");
    await fc.assert(
      fc.asyncProperty(fc.array(column.samples, { minLength: 1, maxLength: 12 }), async (samples) => {
        database.exec("DELETE FROM person");
        for (const [id, { record, cell }] of samples.entries()) {
          // Every other row is sealed by the application, the rest by the job.
          const plain = { id, bound: record, name: `person ${String(id)}` };
          const stored = id % 2 === 0 ? people.encrypt(plain) : plain;
          insert.run(id, cell, stored.name ?? null, "name_index" in stored ? String(stored["name_index"]) : null);
        }
        const sealedHere = readPeople(database).filter(({ id }) => Number(id) % 2 === 0);
        expect(problemsOf(await datasets.protect("crm.person"))).toEqual([]);
        for (const [position, row] of readPeople(database)
          .filter(({ id }) => Number(id) % 2 === 0)
          .entries()) {
          expect(row).toEqual(sealedHere[position]);
        }
        expect((await datasets.index("crm.person")).progress).toMatchObject({ replaced: 0, problems: 0 });
        await expectOpens(people, database, samples);
        expect(await datasets.find("crm.person", "name", ["PERSON 0"])).toMatchObject({
          rows: [{ row: { id: "0" }, values: { name: "person 0" } }],
          complete: true,
        });
        await keystead.keys.rotate("pii");
        expect((await datasets.reencrypt("crm.person")).progress).toMatchObject({ values: samples.length, problems: 0 });
        expect((await datasets.verify("crm.person")).progress.problems).toBe(0);
        await keystead.refresh();
        await expectOpens(people, database, samples);
      }),
      { numRuns: 5 },
    );
  });
});

type People = Awaited<ReturnType<typeof openPeople>>;

/** The application opens every row, by the values that it had and by those that its driver gives. */
async function expectOpens(people: People, database: DatabaseSync, samples: readonly Sample[]): Promise<void> {
  const rows = readPeople(database);
  expect(rows.length).toBe(samples.length);
  for (const [id, row] of rows.entries()) {
    const name = `person ${String(id)}`;
    expect(people.decrypt(row)).toMatchObject({ name });
    expect(people.decrypt({ ...row, bound: samples[id]?.record })).toMatchObject({ name });
  }
}

describe("the text that both write", () => {
  it.each(columns)("is one for the record and for the cell: $type in $declared", ({ type, samples }) => {
    fc.assert(
      fc.property(samples, ({ record, cell }) => {
        expect(canonicalText(cell, "cell", type)).toBe(canonicalText(record, "record", type));
      }),
    );
  });
});
