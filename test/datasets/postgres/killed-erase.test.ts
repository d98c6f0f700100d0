import { randomInt, randomUUID } from "node:crypto";
import { expect, inject, it, onTestFinished } from "vitest";
import { initKeystead } from "../../../src/keystead.ts";
import { type Child, startChild } from "../../support/child.ts";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { testMasterKeys } from "../../support/test-keystead.ts";
import { shareCompileCache } from "../support/killed-job.ts";

const rows = 900;
const rowsPerPage = 30;
const pages = rows / rowsPerPage;
const kills = 10;
const program = new URL("../support/erasing-process.ts", import.meta.url);

shareCompileCache();

it("an erase of plaintext that is killed again and again loses nothing, and erases all in the end", { timeout: 240_000 }, async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    "create table person(id int primary key, phone text, phone_sealed text, erased int not null default 0); create table lost(id int)",
  );
  await database.query("insert into person(id, phone) select i, case when i % 9 > 0 then '+49 ' || i end from generate_series(1, $1) i", [
    rows,
  ]);
  const options = {
    store: `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`,
    masterKeys: testMasterKeys,
    databases: { crm: database.url },
  };
  const keystead = await initKeystead(options);
  onTestFinished(() => keystead.close());
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  const columns = { phone: { key: "pii", column: "phone_sealed", plaintext: "phone" } };
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns });
  await keystead.datasets.protect("crm.person");
  await keystead.datasets.cutOverColumn("crm.person", "phone");
  const sealed = await database.query("select id, phone_sealed from person order by id");
  // From here on the ciphertext is all that stays.
  await database.query(
    `create function watch() returns trigger language plpgsql as
       'begin
          if new.phone_sealed is distinct from old.phone_sealed then insert into lost values (old.id); end if;
          new.erased = old.erased + 1;
          return new;
        end';
     create trigger watch before update on person for each row execute function watch()`,
  );

  const start = (): Child => startChild(program, [options.store, database.url, "phone", String(rowsPerPage)]);
  const killedAt: number[] = [];
  let next = start();
  for (let killed = 0; killed < kills; killed += 1) {
    const child = next;
    child.process.stdin?.write("go\n");
    next = start();
    let line: string | undefined = "";
    // The first time in the look at every row, the second time behind it, and then anywhere.
    const look = killed === 1 ? pages : 0;
    for (let left = look + randomInt(2, pages - 1); left > 0 && line !== undefined; left -= 1) line = await child.nextLine();
    await child.kill();
    const [{ left } = {}] = await database.query("select count(phone)::int as left from person");
    killedAt.push(Number(left));
  }
  next.process.stdin?.write("go\n");
  expect((await next.finish()).at(-1), killedAt.join()).toBe("done 0");
  expect(killedAt[0]).toBe(800);
  expect(killedAt.some((left) => left > 0 && left < 800)).toBe(true);

  expect(await database.query("select from person where phone is not null")).toEqual([]);
  expect(await database.query("select from lost")).toEqual([]);
  expect(await database.query("select distinct erased from person where id % 9 > 0")).toEqual([{ erased: 1 }]);
  expect(await database.query("select distinct erased from person where id % 9 = 0")).toEqual([{ erased: 0 }]);
  expect(await database.query("select id, phone_sealed from person order by id")).toEqual(sealed);
  for (const { id, phone_sealed: value } of sealed) {
    const context = { dataset: "crm.person", "row.id": String(id), column: "phone" };
    if (Number(id) % 9 === 0) expect(value).toBeNull();
    else expect(await keystead.decryptValue(String(value), { context })).toBe(`+49 ${String(id)}`);
  }
  const use = async () => (await keystead.datasets.show("crm.person")).columns[0]?.plaintext?.use;
  // The last process that was killed may have left nothing to the next, which then found nothing.
  if ((await use()) === "none") {
    const { state, progress } = await keystead.datasets.eraseColumn("crm.person", "phone");
    expect({ state, replaced: progress.replaced }).toEqual({ state: "done", replaced: 0 });
  }
  expect(await use()).toBe("erased");
  expect((await keystead.audit.verify()).findings).toEqual([]);
});
