import { expect, it } from "vitest";
import { shareCompileCache } from "../datasets/support/killed-job.ts";
import { countAnew, createPlace, Deployment, findWrong, personWith, queryNumber, rows, runKilled } from "./support/beside.ts";

shareCompileCache();

it(
  `a column becomes ciphertext in place under an application that goes on: ${String(rows)} rows, each right at every moment`,
  { timeout: 600_000 },
  async () => {
    const place = await createPlace(["email_index"]);
    const { keystead, database } = place;
    const { datasets } = keystead;
    const application = new Deployment(place);
    await application.deploy({ name: "plain", way: "plain", searches: false });
    await datasets.add("crm.person", personWith({ key: "pii" }));
    await application.turn();
    await application.deploy({ name: "written", way: "record", plaintext: "written", searches: false });
    expect(await queryNumber(place, "select count(*) from person where email like 'ks1:%'")).toBe(0);

    // Some workers begin while the release that writes plaintext is still there.
    await runKilled(place, { step: "protect", workers: 2, kills: 5 }, async () => {
      await application.turn();
      await application.deploy({ name: "accepted", way: "record", plaintext: "accepted", searches: false });
    });
    await runKilled(place, { step: "protect", workers: 2, kills: 2 });
    await application.turn();
    expect(await queryNumber(place, "select max(replaced) from person")).toBe(1);
    expect(await queryNumber(place, "select count(*) from person where email not like 'ks1:%'")).toBe(0);
    const notOnce = "select count(*) from person join truth using (id) where replaced <> (form <> 'accepted')::int";
    expect(await queryNumber(place, notOnce)).toBe(0);

    await application.deploy({ name: "refused", way: "record", searches: true });
    await application.turn();
    const { writes, reads, finds } = await application.stop();
    expect(await findWrong(place)).toEqual([]);
    expect((await datasets.takeCensus("crm.person")).columns).toMatchObject([{ plaintext: 0, versions: [{ standing: "current" }] }]);
    expect(await database.query("select from person where email like '%@%'")).toEqual([]);
    expect((await keystead.audit.verify()).findings).toEqual([]);
    process.stdout.write(`${String(writes)} writes, ${String(reads)} reads, ${String(finds)} finds of the application\n`);
  },
);

it(
  `a column becomes ciphertext beside its plaintext under an application that goes on: ${String(rows)} rows, each right at every moment`,
  { timeout: 600_000 },
  async () => {
    const place = await createPlace(["email_index", "email_sealed"]);
    const { keystead, database } = place;
    const { datasets } = keystead;
    const application = new Deployment(place);
    const start = (name: string, searches: boolean): Promise<void> =>
      application.deploy({ name, way: "record", plaintext: "written", searches });
    const use = async () => (await datasets.recordDefinition("crm.person")).shadows?.["email"]?.use;
    await application.deploy({ name: "plain", way: "plain", searches: false });
    await datasets.add("crm.person", personWith({ key: "pii", column: "email_sealed", plaintext: "email" }));
    await application.turn();

    // What the release before writes meanwhile, as plaintext alone, is sealed anew.
    await runKilled(place, { step: "protect", workers: 2, kills: 5 }, async () => {
      await application.turn();
      await start("both", false);
    });
    await runKilled(place, { step: "protect", workers: 2, kills: 1 });
    expect(await queryNumber(place, "select count(*) from person where email_sealed is null")).toBe(0);
    await runKilled(place, { step: "cut-over-column", workers: 1, kills: 2 });
    await application.turn();
    await start("sealed", true);
    await application.turn();
    expect(await queryNumber(place, "select count(*) from person where email is null")).toBe(0);

    await countAnew(place);
    // Plaintext goes on to be written until every process was started anew: nothing finds that it is gone before.
    await runKilled(place, { step: "erase-column", workers: 1, kills: 2, mostPages: 45 }, async () => {
      while ((await use()) !== "none") await application.turn();
      await start("none", true);
    });
    await application.turn();
    expect(await queryNumber(place, "select max(replaced) from person")).toBe(1);
    for (let runs = 0; runs < 2 && (await use()) !== "erased"; runs += 1)
      await runKilled(place, { step: "erase-column", workers: 1, kills: 0 });
    expect(await use()).toBe("erased");
    await start("erased", true);
    expect(await queryNumber(place, "select count(email) from person")).toBe(0);
    await database.query("alter table person drop column email");
    await application.turn();
    const { writes, reads, finds } = await application.stop();
    expect(await findWrong(place, "email_sealed")).toEqual([]);
    expect((await datasets.takeCensus("crm.person")).columns).toMatchObject([{ plaintext: 0, versions: [{ standing: "current" }] }]);
    expect((await keystead.audit.verify()).findings).toEqual([]);
    process.stdout.write(`${String(writes)} writes, ${String(reads)} reads, ${String(finds)} finds of the application\n`);
  },
);
