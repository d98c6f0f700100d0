import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { canaries } from "../setup/canary.ts";
import { findLeaks } from "../setup/leaks.ts";
import { createCrm, personDataset } from "./support/crm.ts";

const secrets = Object.entries(canaries).map(([name, { bytes }]) => ({ name, bytes }));
const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };

describe("everything that jobs and searches say", () => {
  it("never shows a plaintext: results, problems, errors with their causes, audit, findings", async () => {
    const { keystead, database } = await createCrm(
      "CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT, name TEXT CHECK (length(name) < 400), income, name_sx TEXT UNIQUE)",
    );
    const said: unknown[] = [];
    const listen = async (work: Promise<unknown>): Promise<void> => {
      said.push(await work.catch((error: unknown) => error));
    };
    const insert = database.prepare("INSERT INTO person (id, tenant, name, income) VALUES (?, ?, ?, ?)");
    insert.run(1, "a", canaries.name.text, canaries.email.text);
    insert.run(2, null, canaries.phone.text, canaries.diagnosis.bytes);
    insert.run(3, "a", canaries.name.text, canaries.diagnosis.text.repeat(1000));
    insert.run(4, "a", canaries.diagnosis.text.repeat(11), canaries.phone.text);
    database
      .prepare("INSERT INTO person (id, tenant, name) VALUES (5, 'a', CAST(? AS TEXT))")
      .run(Buffer.concat([canaries.email.bytes, Buffer.from([0xff])]));
    database.exec(`CREATE TRIGGER refuse BEFORE UPDATE ON person WHEN old.id = 1 BEGIN SELECT RAISE(ABORT, '${canaries.name.text}'); END`);
    await listen(keystead.datasets.add("bad", { ...personDataset({ name: "pii" }), context: { row: `{${canaries.name.text}` } }));
    await listen(
      keystead.datasets.add(
        "crm.person",
        personDataset({ name: "pii", income: "fin" }, { context: { tenant: "{tenant}", row: "{id}" }, indexes: { sound } }),
      ),
    );
    for (const job of ["protect", "verify", "index", "reencrypt"] as const) await listen(keystead.datasets[job]("crm.person"));
    database.exec("DROP TRIGGER refuse; UPDATE person SET tenant = 'b' WHERE id = 3");
    await keystead.keys.rotate("pii");
    for (const job of ["protect", "reencrypt", "unprotect"] as const) await listen(keystead.datasets[job]("crm.person"));
    for (const search of [canaries.name.text, `${canaries.email.text}\ud800`])
      await listen(keystead.datasets.find("crm.person", "sound", [search]));
    await listen(keystead.datasets.find("crm.person", canaries.phone.text, ["x"]));
    await listen(keystead.datasets.takeCensus("crm.person"));
    await listen(keystead.audit.show());
    await listen(keystead.doctor.examine());
    const problems = JSON.stringify(said);
    for (const code of ["DATABASE_FAILED", "INVALID_ARGUMENT", "DECRYPTION_FAILED"]) expect(problems).toContain(code);
    const deep = inspect(said, { depth: 20, maxArrayLength: null, maxStringLength: null, showHidden: true });
    expect(findLeaks({ json: problems, inspected: deep }, secrets)).toEqual([]);
  });
});
