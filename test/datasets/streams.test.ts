import { describe, expect, it } from "vitest";
import type { Context, DatasetInput, Keystead } from "../../src/index.ts";
import { SeededRandom } from "../crypto/support/random.ts";
import { collect, pieces } from "../crypto/support/streams.ts";
import { canaries } from "../setup/canary.ts";
import { type Crm, createCrm, dataVersion, personDataset, problemsOf, queryNumber, readColumn, readExactly } from "./support/crm.ts";

const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, scan BLOB, scan_index TEXT)";
const jobs = ["protect", "reencrypt", "verify", "index", "unprotect"] as const;
/** Around the edges of chunks. */
const sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000];
const contents = sizes.map((size) => Buffer.from(new SeededRandom(`scan of ${String(size)}`).bytes(size)));

function contextOf(id: number, column = "scan"): Context {
  return { dataset: "crm.person", "row.id": String(id), column };
}

/** A stream as the application writes it: with the dataset's context. */
function sealStream(keystead: Keystead, bytes: Uint8Array, id: number, key = "pii"): Promise<Buffer> {
  return collect(keystead.encryptStream(key, pieces(bytes), { dataset: "crm.person", context: contextOf(id) }));
}

function openStream(keystead: Keystead, cell: unknown, id: number, context = contextOf(id)): Promise<Buffer> {
  if (!(cell instanceof Uint8Array)) throw new Error("a stream is bytes");
  return collect(keystead.decryptStream(pieces(cell), { context }));
}

async function createScans(definition: Partial<DatasetInput> = {}): Promise<Crm> {
  const crm = await createCrm(schema);
  await crm.keystead.datasets.add("crm.person", personDataset({ scan: "pii" }, definition));
  return crm;
}

function insertScan({ database }: Crm, id: number, cell: Uint8Array | string): void {
  database.prepare("INSERT INTO person (id, scan) VALUES (?, ?)").run(id, cell);
}

async function insertStreams(crm: Crm, values: readonly Uint8Array[] = contents): Promise<void> {
  for (const [id, bytes] of values.entries()) insertScan(crm, id, await sealStream(crm.keystead, bytes, id));
}

async function counted({ keystead }: Crm): Promise<Record<string, number>> {
  const { columns } = await keystead.datasets.takeCensus("crm.person");
  const versions = columns.flatMap((column) => column.versions);
  const plaintext = columns.reduce((sum, column) => sum + column.plaintext, 0);
  return { plaintext, ...Object.fromEntries(versions.map(({ key, version, count }) => [`${key}:${version.replace(/-.*/, "")}`, count])) };
}

describe("streams in a BLOB column", () => {
  it("are ciphertext: the census counts them, protect leaves them as they are, the gate keeps their version", async () => {
    const crm = await createScans();
    const { keystead, database } = crm;
    await insertStreams(crm);
    insertScan(crm, 100, canaries.diagnosis.bytes);
    expect(await counted(crm)).toEqual({ plaintext: 1, "pii:1": sizes.length });
    const before = readColumn(database, "scan");
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: 1, problems: 0 });
    const after = readColumn(database, "scan");
    for (const id of contents.keys()) expect(after.get(String(id))).toEqual(before.get(String(id)));
    expect(await counted(crm)).toEqual({ plaintext: 0, "pii:1": sizes.length + 1 });
    await keystead.keys.rotate("pii");
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(
      new RegExp(`${String(sizes.length + 1)} values in dataset crm.person \\(run \`keystead datasets reencrypt`),
    );
  });

  it("move to the current version as streams with new file keys, so that the old version may go", async () => {
    const crm = await createScans();
    const { keystead, database, clock } = crm;
    await insertStreams(crm);
    const before = readColumn(database, "scan");
    await keystead.keys.rotate("pii");
    const { progress } = await keystead.datasets.reencrypt("crm.person");
    expect(progress).toMatchObject({ values: sizes.length, replaced: sizes.length, problems: 0, pass: 1 });
    expect(await counted(crm)).toEqual({ plaintext: 0, "pii:2": sizes.length });
    for (const [key, cell] of readColumn(database, "scan")) {
      const id = Number(key);
      expect(Buffer.from(cell as Uint8Array).toString("latin1")).toMatch(/^ks1s:pii:2-/);
      expect(await openStream(keystead, cell, id)).toEqual(contents[id]);
      const old = before.get(key) as Uint8Array;
      expect(Buffer.from(cell as Uint8Array).subarray(-16)).not.toEqual(Buffer.from(old).subarray(-16));
      expect((cell as Uint8Array).length).toBe(old.length);
    }
    const version = dataVersion(database);
    expect((await keystead.datasets.reencrypt("crm.person")).progress.replaced).toBe(0);
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    expect(dataVersion(database)).toBe(version);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("scheduled");
    clock.advance(7 * 86_400_000);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
    for (const [key, cell] of readColumn(database, "scan"))
      expect(await openStream(keystead, cell, Number(key))).toEqual(contents[Number(key)]);
  });

  it("move to their column's key, and out of a suspended version", async () => {
    const crm = await createScans();
    const { keystead, database } = crm;
    insertScan(crm, 1, await sealStream(keystead, canaries.diagnosis.bytes, 1, "fin"));
    await keystead.keys.rotate("fin");
    await keystead.keys.suspend("fin", 1, { reason: "test" });
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ values: 1, problems: 0 });
    expect(await openStream(keystead, readColumn(database, "scan").get("1"), 1)).toEqual(Buffer.from(canaries.diagnosis.bytes));
    expect(await counted(crm)).toEqual({ plaintext: 0, "pii:1": 1 });
  });

  it.each(["typed", "value"] as const)("go through every job of a column of kind %s", async (kind) => {
    const crm = await createScans({ columns: { scan: { key: "pii", kind } } });
    const { keystead, database } = crm;
    await insertStreams(crm);
    await keystead.datasets.recontext("crm.person", { app: "crm", person: "{id}" });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    const bound = { app: "crm", person: "4", column: "scan" };
    expect(await openStream(keystead, readColumn(database, "scan").get("4"), 4, bound)).toEqual(contents[4]);
    expect((await keystead.datasets.unprotect("crm.person")).progress).toMatchObject({ values: sizes.length, problems: 0 });
    expect(await counted(crm)).toEqual({ plaintext: sizes.length });
    for (const [id, cell] of readColumn(database, "scan")) expect(Buffer.from(cell as Uint8Array)).toEqual(contents[Number(id)]);
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: sizes.length, problems: 0 });
    expect((await keystead.datasets.unprotect("crm.person")).progress).toMatchObject({ values: sizes.length, problems: 0 });
    for (const [id, cell] of readColumn(database, "scan")) expect(Buffer.from(cell as Uint8Array)).toEqual(contents[Number(id)]);
  });

  it.each(["scan", "scan TEXT", "scan NUMERIC", "scan ANY"])("are streams in any column that holds bytes: %s", async (column) => {
    const strict = column.endsWith("ANY") ? " STRICT" : "";
    for (const kind of ["typed", "value"] as const) {
      const crm = await createCrm(`CREATE TABLE person (id INTEGER PRIMARY KEY, ${column}, scan_index TEXT)${strict}`);
      const { keystead, database } = crm;
      const name = `crm.${kind}`;
      await keystead.datasets.add(name, personDataset({}, { columns: { scan: { key: "pii", kind } }, context: { row: "{id}" } }));
      const context = { row: "1", column: "scan" };
      insertScan(crm, 1, await collect(keystead.encryptStream("pii", pieces(Buffer.from("text in bytes")), { dataset: name, context })));
      await keystead.keys.rotate("pii");
      expect((await keystead.datasets.protect(name)).progress).toMatchObject({ values: 0, problems: 0 });
      expect((await keystead.datasets.reencrypt(name)).progress).toMatchObject({ values: 1, problems: 0 });
      const cell = readColumn(database, "scan").get("1");
      expect(await openStream(keystead, cell, 1, context)).toEqual(Buffer.from("text in bytes"));
      await keystead.datasets.unprotect(name);
      expect(readExactly(database, "person")[0]?.[1]).toEqual(["blob", new Uint8Array(Buffer.from("text in bytes"))]);
    }
  });

  it("are found by the index over their bytes, like the same bytes sealed by a job", async () => {
    const sum = { columns: ["scan"], column: "scan_index", key: "bi", kind: "exact", normalisers: ["none"], bits: 64 };
    const crm = await createScans({ indexes: { sum } });
    const { keystead, database } = crm;
    const bytes = canaries.diagnosis.bytes;
    insertScan(crm, 1, await sealStream(keystead, bytes, 1));
    insertScan(crm, 2, bytes);
    insertScan(crm, 3, await sealStream(keystead, Buffer.from("other"), 3));
    expect((await keystead.datasets.protect("crm.person")).progress.problems).toBe(0);
    expect(queryNumber(database, "SELECT count(DISTINCT scan_index) FROM person WHERE id < 3")).toBe(1);
    const search = [Buffer.from(bytes).toString("base64url")];
    const { rows, complete } = await keystead.datasets.find("crm.person", "sum", search);
    expect(complete).toBe(true);
    expect(rows.map(({ row, values }) => [row["id"], values["scan"]])).toEqual([
      ["1", new Uint8Array(bytes)],
      ["2", new Uint8Array(bytes)],
    ]);
    await keystead.keys.rotate("pii");
    await keystead.datasets.reencrypt("crm.person");
    expect((await keystead.datasets.find("crm.person", "sum", search)).rows).toHaveLength(2);
    database.exec("UPDATE person SET scan_index = NULL");
    expect((await keystead.datasets.index("crm.person")).progress).toMatchObject({ replaced: 3, problems: 0 });
    expect((await keystead.datasets.planIndex("crm.person", { columns: ["scan"], kind: "exact", normalisers: ["none"] })).rows).toBe(3);
  });

  it("that don't open are reported and left alone by every job, and keep their version", async () => {
    const crm = await createScans();
    const { keystead, database } = crm;
    const bytes = contents[4] ?? Buffer.alloc(0);
    const good = await sealStream(keystead, bytes, 1);
    const altered = Buffer.from(good);
    altered[good.length - 1] = ~(good[good.length - 1] ?? 0);
    const lastChunk = 17;
    const cases: readonly (readonly [id: number, cell: Uint8Array, code: string])[] = [
      [1, altered, "DECRYPTION_FAILED"],
      [2, good, "DECRYPTION_FAILED"],
      [3, (await sealStream(keystead, bytes, 3)).subarray(0, good.length - lastChunk), "DECRYPTION_FAILED"],
      [4, Buffer.concat([await sealStream(keystead, bytes, 4), Buffer.alloc(1)]), "DECRYPTION_FAILED"],
      [5, (await sealStream(keystead, bytes, 5)).subarray(0, 200), "DECRYPTION_FAILED"],
      [6, Buffer.from(replaced(await sealStream(keystead, bytes, 6), "ks1s:pii:", "ks1s:fin:"), "latin1"), "UNKNOWN_FINGERPRINT"],
      [7, Buffer.from(replaced(await sealStream(keystead, bytes, 7), "ks1s:pii:", "ks1s:nobody:"), "latin1"), "UNKNOWN_KEY"],
    ];
    for (const [id, cell] of cases) insertScan(crm, id, cell);
    const before = readExactly(database, "person");
    for (const job of jobs) {
      // What carries the current label is not opened by a job that has nothing to do there.
      const reported = job === "reencrypt" ? cases.slice(-2) : cases;
      expect(problemsOf(await keystead.datasets[job]("crm.person")), job).toEqual(
        reported.map(([id, , code]) => `${String(id)} scan ${code}`),
      );
      expect(readExactly(database, "person")).toEqual(before);
    }
    await keystead.keys.rotate("pii");
    const rotated = await keystead.datasets.reencrypt("crm.person");
    expect(problemsOf(rotated)).toHaveLength(cases.length);
    expect(readExactly(database, "person")).toEqual(before);
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(/5 values in dataset crm.person/);
  });

  it("that are none are plaintext, and come back as they were", async () => {
    const crm = await createScans();
    const { keystead, database } = crm;
    const good = await sealStream(keystead, Buffer.from("x"), 1);
    const near: readonly (Uint8Array | string)[] = [
      good.subarray(0, 60),
      Buffer.from(replaced(good, "ks1s", "ks1S"), "latin1"),
      Buffer.concat([good.subarray(0, good.indexOf(":", 10) + 1), Buffer.from([0, 27]), Buffer.alloc(100)]),
      Buffer.from("ks1s:"),
      "ks1s:",
      `ks1s:pii:1-k7f2qd:\0\x1c${"A".repeat(100)}`,
      `ks1b:pii:1-k7f2qd:${"A".repeat(100)}`,
    ];
    for (const [id, value] of near.entries()) insertScan(crm, id, value);
    const before = readExactly(database, "person");
    expect(await counted(crm)).toEqual({ plaintext: near.length });
    expect((await keystead.datasets.protect("crm.person")).progress).toMatchObject({ values: near.length, problems: 0 });
    expect((await keystead.datasets.unprotect("crm.person")).progress).toMatchObject({ values: near.length, problems: 0 });
    expect(readExactly(database, "person")).toEqual(before);
  });

  it("are told from single values where one of those is expected", async () => {
    const { keystead } = await createScans();
    const stream = await sealStream(keystead, Buffer.from("x"), 1);
    const wanted = { code: "MALFORMED_CIPHERTEXT", message: expect.stringMatching(/decryptStream/) as unknown };
    await expect(keystead.decrypt(stream, { context: contextOf(1) })).rejects.toMatchObject(wanted);
    await expect(keystead.rewrap(stream, { context: contextOf(1) })).rejects.toMatchObject(wanted);
    const key = await keystead.open("pii");
    expect(() => key.decryptValue(stream, contextOf(1))).toThrow(/decryptStream/);
    await key.close();
  });
});

function replaced(bytes: Buffer, from: string, to: string): string {
  return bytes.toString("latin1").replace(from, to);
}
