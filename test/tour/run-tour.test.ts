import { existsSync, readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { personRow, samplePersons } from "../../src/cli/tour/sample-persons.ts";
import type { TourSummary } from "../../src/cli/tour/summary.ts";
import { KeysteadError } from "../../src/errors.ts";
import { openKeystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { csvFile, temporaryFolder } from "./support/temporary.ts";
import { takeTour } from "./support/tour.ts";

const steps = [
  "sample table",
  "plaintext scan",
  "keys",
  "register",
  "census before",
  "protect",
  "find",
  "rotate",
  "census rotated",
  "refuse",
  "re-encrypt",
  "census after",
  "destroy",
  "audit",
  "compare",
];

type CensusName = keyof TourSummary["census"];

/** Values of a census: in plaintext, and by standing. */
function counts(summary: TourSummary, name: CensusName): Record<string, number> {
  const { columns } = summary.census[name];
  const found: Record<string, number> = { plaintext: columns.reduce((sum, { plaintext }) => sum + plaintext, 0) };
  for (const { standing, count } of columns.flatMap(({ versions }) => versions)) found[standing] = (found[standing] ?? 0) + count;
  return found;
}

/** What tours left in the temporary folder, which is this test's own. */
function leftovers(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("keystead-tour-"));
}

beforeEach(() => {
  vi.stubEnv("TMPDIR", temporaryFolder());
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
});

describe("the tour of made-up persons", () => {
  it("protects, finds, rotates, re-encrypts, destroys and verifies", async () => {
    const { summary, told } = await takeTour({ rows: 300 });
    const rows = [...samplePersons(300)].map(personRow);
    const values = rows.reduce((sum, row) => sum + row.slice(1, -1).filter((value) => value !== null).length, 0);
    expect(summary).toMatchObject({ source: "generated", rows: 300, values, problems: [], verified: { rows: 300, values, leftAlone: 0 } });
    expect(summary.columns).toEqual({
      pii: ["given_name", "surname", "email", "phone", "national_id"],
      financial: ["bank_account", "income"],
      medical: ["diagnosis"],
    });
    expect(counts(summary, "before")).toEqual({ plaintext: values });
    expect(counts(summary, "protected")).toEqual({ plaintext: 0, current: values });
    expect(counts(summary, "rotated")).toEqual({ plaintext: 0, old: values });
    expect(counts(summary, "after")).toEqual({ plaintext: 0, current: values });

    expect(summary.finds.map(({ kind, column }) => `${kind} ${column}`)).toEqual([
      "exact email",
      "last(4) bank_account",
      "metaphone surname",
    ]);
    for (const { rows: found, sameAsScan } of summary.finds) {
      expect(found).toBeGreaterThan(1);
      expect(sameAsScan).toBe(true);
    }

    expect(summary.refusal).toMatchObject({ key: "pii", version: 1, code: "VERSION_IN_USE" });
    expect(summary.refusal.message).toContain("values in dataset person");
    expect(summary.certificates.map(({ key, verified }) => ({ key, verified }))).toEqual(
      ["pii", "financial", "medical"].map((key) => ({ key, verified: true })),
    );
    expect(summary.audit).toMatchObject({ findings: [], writers: 1 });
    expect(summary.audit.records).toBeGreaterThan(15);
    expect(summary.audit.checkpoints).toBeGreaterThan(0);
    expect(summary.folder).toBeUndefined();

    expect(summary.steps.map(({ step }) => step)).toEqual(steps);
    for (const name of ["protect", "re-encrypt", "compare"]) {
      const step = summary.steps.find((candidate) => candidate.step === name);
      expect(step).toMatchObject({ rows: 300, values });
      expect(step?.rowsPerSecond).toBeCloseTo(300 / (step?.seconds ?? 0), -1);
    }
    expect(summary.seconds).toBeGreaterThanOrEqual(summary.steps.reduce((sum, { seconds }) => sum + seconds, 0) - 0.1);

    for (const step of steps) expect(told).toContain(step);
    expect(told).toContain(summary.refusal.message);
    expect(told).toMatch(/written .*M[ae][iy]er/);
    expect(leftovers()).toEqual([]);
  });

  it("goes with very few rows", async () => {
    const { summary } = await takeTour({ rows: 1 });
    expect(summary).toMatchObject({ rows: 1, verified: { rows: 1, values: summary.values } });
  });

  it("leaves a store and a table behind that open, when that is wanted", async () => {
    const keep = join(temporaryFolder(), "demo");
    const { summary } = await takeTour({ rows: 40, keep });
    expect(summary.folder).toBe(keep);
    expect(readdirSync(keep).sort()).toEqual(["audit", "keystead.db", "keystead.json", "master.key", "sample.db"]);
    for (const file of ["keystead.db", "keystead.json", "master.key", "sample.db"]) expect(statSync(join(keep, file)).mode & 0o077).toBe(0);

    const database = new DatabaseSync(join(keep, "sample.db"), { readOnly: true });
    const emails = database.prepare("SELECT email FROM person WHERE email IS NOT NULL").all();
    database.close();
    expect(emails.length).toBeGreaterThan(20);
    for (const { email } of emails) expect(email).toMatch(/^ks1:pii:2-[a-z2-7]{6}:/);

    const keystead = await openKeystead({
      store: `sqlite:${join(keep, "keystead.db")}`,
      masterKeyFile: join(keep, "master.key"),
      databases: { sample: `sqlite:${join(keep, "sample.db")}` },
    });
    try {
      expect(keystead.store.demo).toBe(true);
      expect(Date.parse((await keystead.keys.show("pii")).createdAt)).toBeLessThan(Date.now() - 6 * 86_400_000);
      expect((await keystead.keys.show("pii")).versions.map(({ state }) => state)).toEqual(["destroyed", "active"]);
      expect(await keystead.datasets.verify("person")).toMatchObject({ state: "done", progress: { scanned: 40, problems: 0 } });
      const findings = (await keystead.doctor.examine()).filter(({ status }) => status !== "good");
      expect(findings).toMatchObject([{ check: "store", status: "warning", message: expect.stringContaining("demo store") as string }]);
      const [newest] = (await keystead.audit.show({ limit: 1 })).map((record) => Date.parse(String(record["time"])));
      expect(newest).toBeLessThanOrEqual(Date.now());
    } finally {
      await keystead.close();
    }
  });

  it("leaves nothing behind when it is stopped", async () => {
    const keep = temporaryFolder();
    for (const folder of [undefined, keep]) {
      const controller = new AbortController();
      const stopped = takeTour({ rows: 3_000, ...(folder !== undefined && { keep: folder }) }, controller.signal);
      await vi.waitUntil(() => leftovers().length > 0 || existsSync(join(keep, "sample.db")));
      controller.abort(new KeysteadError("CANCELLED", "stopped"));
      await expect(stopped).rejects.toMatchObject({ code: "CANCELLED" });
      expect(leftovers()).toEqual([]);
    }
    expect(readdirSync(keep)).toEqual([]);
  });
});

describe("the tour of a CSV file", () => {
  const secrets = canaries;
  const header = [
    'key "k" {x}',
    "Last, Name",
    "ROWID",
    "oid",
    "_rowid_",
    "Größe 身長",
    "",
    "__proto__",
    "constructor",
    "bank account",
    "blood-type",
  ];
  const more = ["E-mail", "e-mail", "2019", "a{b}c", "select", "two\r\nlines", "'; DROP TABLE data; --"];
  const names = ["Meyer", "Maier", "ኮከብ", "", "O'Neil", secrets.name.text];

  function nastyRow(row: number): string[] {
    const values = [
      `k"${row}'é;`,
      names[row % 6] ?? "",
      String(row),
      "",
      "x".repeat(row),
      "ü".repeat(row % 3),
      `v${row}`,
      "p",
      "toString",
      `ZZ00 ${1_000_000 + row}`,
    ];
    return [
      ...values,
      secrets.diagnosis.text,
      row % 4 === 0 ? secrets.email.text : `a${row % 7}@example.org`,
      "ks1:nope",
      secrets.phone.text,
      "{}",
      '"q"',
      "a\r\nb",
      "é",
    ];
  }

  function csv(rows: readonly (readonly string[])[]): string {
    return `\ufeff${rows.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(",")).join("\r\n")}\r\n`;
  }

  it("takes any names of columns and any values, and never tells them", async () => {
    const { summary, told } = await takeTour({
      csv: csvFile(csv([[...header, ...more], ...Array.from({ length: 24 }, (_, row) => nastyRow(row))])),
    });
    const empty = Array.from(
      { length: 24 },
      (_, row) =>
        nastyRow(row)
          .slice(1)
          .filter((value) => value === "").length,
    ).reduce((a, b) => a + b);
    const values = 24 * (header.length + more.length - 1) - empty;
    expect(summary).toMatchObject({ source: "csv", rows: 24, values, problems: [], verified: { rows: 24, values, leftAlone: 0 } });
    expect(counts(summary, "after")).toEqual({ plaintext: 0, current: values });
    expect(summary.columns["financial"]).toEqual(["bank account"]);
    expect(summary.columns["medical"]).toEqual(["blood-type"]);
    expect(summary.finds.map(({ kind, column }) => `${kind} ${column}`)).toEqual([
      "exact E-mail",
      "last(4) bank account",
      "metaphone Last, Name",
    ]);
    const said = told + JSON.stringify(summary);
    for (const { text } of [secrets.name, secrets.email, secrets.diagnosis, secrets.phone]) expect(said).not.toContain(text);
    expect(said).not.toContain("a3@example.org");
    expect(said).not.toContain("1000007");
  });

  it("leaves columns alone that are called like its own", async () => {
    const { summary } = await takeTour({ csv: csvFile("id,name,NAME_EXACT,name_sound\n1,Ada,x,1\n2,Bo,y,2\n"), columns: "name" });
    expect(summary.finds.map(({ kind }) => kind)).toEqual(["exact", "metaphone"]);
    expect(summary.verified).toEqual({ rows: 2, values: 2, leftAlone: 0 });
  });

  it("protects the named columns alone", async () => {
    const { summary } = await takeTour({ csv: csvFile("id;name;note\n1;Ada;x\n2;Bo;y\n"), columns: "name" });
    expect(summary).toMatchObject({ values: 2, columns: { pii: ["name"] }, verified: { rows: 2, values: 2 } });
    expect(summary.certificates.map(({ key }) => key)).toEqual(["pii"]);
  });

  it("reports values that look like another store's ciphertext and leaves them alone", async () => {
    const foreign = `ks1:pii:1-aaaaaa:${"A".repeat(80)}`;
    const { summary, told } = await takeTour({ csv: csvFile(`id,name\n1,Ada\n2,${foreign}\n3,Bo\n`) });
    expect(summary).toMatchObject({ values: 3, verified: { values: 2, leftAlone: 1 } });
    expect(summary.problems.map(({ column, code }) => `${column} ${code}`)).toContain("name UNKNOWN_FINGERPRINT");
    expect(told).toContain("1 value could not be");
    expect(counts(summary, "after")).toEqual({ plaintext: 0, current: 2, unknown: 1 });
  });

  it("goes with columns that hold nothing, where others hold something", async () => {
    const { summary } = await takeTour({ csv: csvFile("id,name,diagnosis\n1,,x\n2,,y\n") });
    expect(summary).toMatchObject({ rows: 2, values: 2, refusal: { key: "medical" }, verified: { rows: 2, values: 2 } });
    expect(summary.certificates.map(({ key }) => key)).toEqual(["pii", "medical"]);
  });

  it("carries control characters", async () => {
    const { summary } = await takeTour({ csv: csvFile("id,name\n1,a\0b\n2,\u0007\n") });
    expect(summary.verified).toEqual({ rows: 2, values: 2, leftAlone: 0 });
  });

  it.each([
    ["a key that comes twice", "id,name\n1,a\n2,b\n1,c\n", /row 3 .* has the key of an earlier row/],
    ["columns that hold nothing", "id,name,note\n1,,\n2,,\n", /hold no values/],
    [
      "nothing but another store's ciphertext",
      `id,name\n1,ks1:pii:1-aaaaaa:${"A".repeat(80)}\n`,
      /no value of the table could be protected/,
    ],
    ["a ragged line at its end", `id,name\n${Array.from({ length: 900 }, (_, row) => `${row},a`).join("\n")}\n901\n`, /line 902/],
  ])("leaves nothing behind after %s", async (_, content, words) => {
    const keep = temporaryFolder();
    for (const folder of [undefined, keep]) {
      const refused = takeTour({ csv: csvFile(content), ...(folder !== undefined && { keep: folder }) });
      await expect(refused).rejects.toThrow(words);
      expect(leftovers()).toEqual([]);
    }
    expect(readdirSync(keep)).toEqual([]);
  });
});
