import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyHandle } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { type Crm, createCrm, personDataset, readExactly } from "./support/crm.ts";

/** What the columns `typed` and `plain` of each row say, whether they are protected or not. */
type Model = Map<number, { typed: SQLInputValue; plain: string | null }>;

type Step =
  | { readonly do: "write"; readonly id: number; readonly typed: SQLInputValue; readonly plain: string | null }
  | { readonly do: "seal"; readonly id: number; readonly text: string }
  | { readonly do: "delete"; readonly id: number }
  | { readonly do: "rotate"; readonly key: "pii" | "fin" }
  | { readonly do: "recontext"; readonly template: number }
  | { readonly do: "protect" | "reencrypt" | "unprotect" | "index" | "verify" };

const templates = [{ dataset: "crm.person", "row.id": "{id}" }, { row: "{id}" }, { table: "{{person}}", row: "no. {id}!" }] as const;

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("", "ks1:", "ks1:pii:1-aaaaaa:x", "12", canaries.name.text),
);
const storable: fc.Arbitrary<SQLInputValue> = fc.oneof(
  text,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true }),
  fc.uint8Array({ maxLength: 12 }),
  fc.constant(null),
);
const id = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), id, typed: storable, plain: fc.option(text) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("seal" as const), id, text }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rotate" as const), key: fc.constantFrom("pii" as const, "fin" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("recontext" as const), template: fc.nat(templates.length - 1) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("protect" as const, "reencrypt" as const, "unprotect" as const, "index" as const, "verify" as const),
    }),
  },
);

const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, typed, plain TEXT COLLATE NOCASE, plain_bi TEXT)";
const exact = { columns: ["plain"], column: "plain_bi", key: "bi", kind: "exact", normalisers: ["none"], bits: 64 };
const columns = { typed: { key: "pii" }, plain: { key: "fin", kind: "value" } } as const;

/** The context that the application must give to seal and to open. */
function contextOf(template: number, row: number, column: string): Record<string, string> {
  const contexts = [
    { dataset: "crm.person", "row.id": String(row) },
    { row: String(row) },
    { table: "{person}", row: `no. ${String(row)}!` },
  ];
  return { ...contexts[template], column };
}

async function applyStep(crm: Crm, model: Model, template: number, taken: Step): Promise<number> {
  const { keystead, database } = crm;
  switch (taken.do) {
    case "write":
      database.prepare("INSERT OR REPLACE INTO person (id, typed, plain) VALUES (?, ?, ?)").run(taken.id, taken.typed, taken.plain);
      model.set(taken.id, { typed: taken.typed, plain: taken.plain });
      return template;
    case "seal": {
      const pii = await keystead.encryptValue("pii", taken.text, {
        dataset: "crm.person",
        context: contextOf(template, taken.id, "typed"),
      });
      const fin = await keystead.encrypt("fin", taken.text, { dataset: "crm.person", context: contextOf(template, taken.id, "plain") });
      database.prepare("INSERT OR REPLACE INTO person (id, typed, plain) VALUES (?, ?, ?)").run(taken.id, pii, fin);
      model.set(taken.id, { typed: taken.text, plain: taken.text });
      return template;
    }
    case "delete":
      database.prepare("DELETE FROM person WHERE id = ?").run(taken.id);
      model.delete(taken.id);
      return template;
    case "rotate":
      await keystead.keys.rotate(taken.key);
      return template;
    case "recontext":
      expect(await keystead.datasets.recontext("crm.person", templates[taken.template] ?? {})).toMatchObject({
        state: "done",
        progress: { problems: 0 },
      });
      return taken.template;
    case "protect":
    case "reencrypt":
    case "unprotect":
    case "index":
    case "verify":
      expect(await keystead.datasets[taken.do]("crm.person")).toMatchObject({ state: "done", progress: { problems: 0, changed: 0 } });
      return template;
  }
}

/** What a cell says: opened when it parses as ciphertext, as it is otherwise. */
function say(key: KeyHandle, cell: SQLOutputValue, open: (sealed: string) => unknown): unknown {
  return typeof cell === "string" && cell.startsWith(`ks1:${key.name}:`) && key.labels.some((label) => cell.includes(`:${label}:`))
    ? open(cell)
    : cell;
}

async function expectModel({ keystead, database }: Crm, model: Model, template: number): Promise<void> {
  const pii = await keystead.open("pii");
  const fin = await keystead.open("fin");
  const said = database
    .prepare("SELECT id, typed, plain FROM person")
    .all()
    .map(({ id: row, typed = null, plain = null }) => {
      const number = Number(row);
      return [
        number,
        {
          typed: say(pii, typed, (sealed) => pii.decryptValue(sealed, contextOf(template, number, "typed"))),
          plain: say(fin, plain, (sealed) => fin.decryptText(sealed, contextOf(template, number, "plain"))),
        },
      ] as const;
    });
  await pii.close();
  await fin.close();
  const normalised = new Map(
    [...model].map(([row, { typed, plain }]) => [row, { typed: typed instanceof Uint8Array ? Uint8Array.from(typed) : typed, plain }]),
  );
  const bytesAlike = new Map(
    said.map(([row, { typed, plain }]) => [row, { typed: typed instanceof Uint8Array ? Uint8Array.from(typed) : typed, plain }]),
  );
  expect(bytesAlike).toEqual(normalised);
}

describe("any sequence of the application's writes, rotations and jobs", () => {
  it("keeps what every row says", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        const crm = await createCrm(schema);
        const { keystead, database } = crm;
        await keystead.datasets.add("crm.person", personDataset({}, { columns, indexes: { exact } }));
        const model: Model = new Map();
        let template = 0;
        for (const taken of steps) {
          template = await applyStep(crm, model, template, taken);
          await expectModel(crm, model, template);
        }
        for (const kind of ["protect", "reencrypt"] as const) await applyStep(crm, model, template, { do: kind });
        const { columns: counted } = await keystead.datasets.takeCensus("crm.person");
        expect(counted.flatMap(({ versions }) => versions).every(({ standing }) => standing === "current")).toBe(true);
        for (const [row, { plain }] of model) {
          if (plain === null || plain === "") continue;
          const { rows, complete } = await keystead.datasets.find("crm.person", "exact", [plain]);
          expect(complete).toBe(true);
          expect(rows.map(({ row: key }) => key["id"])).toContain(String(row));
        }
        await applyStep(crm, model, template, { do: "unprotect" });
        const other = new Map(model);
        database.exec("CREATE TABLE expected AS SELECT * FROM person WHERE false");
        for (const [row, { typed, plain }] of other)
          database.prepare("INSERT INTO expected (id, typed, plain) VALUES (?, ?, ?)").run(row, typed, plain);
        expect(readExactly(database, "person")).toEqual(readExactly(database, "expected"));
        await keystead.close();
        database.close();
      }),
      { numRuns: 12 },
    );
  });
});
