import { expect, it } from "vitest";
import { defineFields } from "../../src/fields/field-specification.ts";
import { RecordCipher } from "../../src/fields/record-cipher.ts";
import { shareCompileCache } from "../datasets/support/killed-job.ts";
import { countAnew, createPlace, Deployment, findWrong, personWith, type Place, queryNumber, rows, runKilled } from "./support/beside.ts";
import { firstLateId } from "./support/release.ts";

shareCompileCache();

/** A process that reads the indexes when it is made, and is not started anew: it writes a row now and then. */
async function startLate({ keystead, database }: Place): Promise<(count: number) => Promise<void>> {
  const field = { key: "pii", type: "string" } as const;
  const cipher = new RecordCipher(defineFields({ email: field }, await keystead.datasets.recordDefinition("crm.person")), {
    pii: await keystead.open("pii", { dataset: "crm.person" }),
    bi: await keystead.open("bi", { dataset: "crm.person" }),
  });
  let id = firstLateId;
  return async (count) => {
    for (const until = id + count; id < until; id += 1) {
      const stored = cipher.encrypt({ id, email: `late${String(id)}@example.org` });
      await database.query("insert into person (id, email, email_index) values ($1, $2, $3)", [id, stored.email, stored["email_index"]]);
      await database.query("insert into truth (id, email, form) values ($1, $2, 'late')", [id, `late${String(id)}@example.org`]);
    }
  };
}

it(
  `an index gets another generation under an application that searches all the while: ${String(rows)} rows, no row missed, none too many`,
  { timeout: 600_000 },
  async () => {
    const place = await createPlace(["email_index", "email_index_2"]);
    const { keystead, database } = place;
    const { datasets } = keystead;
    await datasets.add("crm.person", personWith({ key: "pii" }));
    await datasets.protect("crm.person");
    const application = new Deployment(place);
    const start = (name: string): Promise<void> => application.deploy({ name, way: "record", searches: true });
    await start("before");
    const writeLate = await startLate(place);

    await keystead.keys.rotate("bi");
    await datasets.startGeneration("crm.person", "email", { column: "email_index_2", bits: 12 });
    await application.turn();
    await start("written");
    await countAnew(place);
    const begun = await application.turn();
    await runKilled(place, { step: "index", workers: 2, kills: 5 });
    const filled = await application.turn();
    expect(filled.finds - begun.finds).toBeGreaterThan(10);
    expect(await queryNumber(place, "select count(*) from person where email_index is null or email_index_2 is null")).toBe(0);
    expect(await queryNumber(place, "select max(replaced) from person")).toBe(1);

    await runKilled(place, { step: "cut-over-index", workers: 1, kills: 2 });
    await application.turn();
    // Its rows have the old token alone; a search by the new generation asks for both.
    await writeLate(30);
    for (let turns = 0; turns < 3; turns += 1) await application.turn();
    await start("searched");
    for (let turns = 0; turns < 3; turns += 1) await application.turn();

    await datasets.index("crm.person");
    await datasets.dropGeneration("crm.person", "email", 1);
    await application.turn();
    await start("alone");
    await runKilled(place, { step: "index", workers: 2, kills: 3 });
    expect((await datasets.show("crm.person")).indexes).toMatchObject([{ state: "retired" }, { state: "live", searched: true }]);
    expect(await queryNumber(place, "select count(email_index) from person")).toBe(0);
    await database.query("alter table person drop column email_index");
    await application.turn();
    const { finds, searches, writes, again } = await application.stop();
    expect(await findWrong(place)).toEqual([]);
    expect((await datasets.takeCensus("crm.person")).indexes).toMatchObject([{ none: 0, malformed: 0 }]);
    expect((await keystead.audit.verify()).findings).toEqual([]);
    process.stdout.write(
      `${String(finds)} finds (${String(again)} made again), ${String(searches)} searches, ${String(writes)} writes of the application\n`,
    );
  },
);
