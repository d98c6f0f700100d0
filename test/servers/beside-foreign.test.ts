import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import type { CodecConfig } from "../../src/index.ts";
import { privateFile, sealOpenspp } from "../datasets/codecs/foreign.ts";
import { openspp } from "../datasets/codecs/vectors.ts";
import { shareCompileCache } from "../datasets/support/killed-job.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { createPlace, Deployment, findWrong, personWith, type Place, queryNumber, rows, runKilled } from "./support/beside.ts";

shareCompileCache();

/** A row that nobody writes, whose value does not open. */
const damaged = 0;

/** What encrypted the column before: its keys, the newest first, and what binds a value. */
interface Foreign {
  readonly keys: readonly Buffer[];
  /** Additional data with `{id}`. */
  readonly aad: string;
  readonly codec: CodecConfig;
  /** Makes what else the codec reads from the application's database. */
  readonly setup?: (place: Place) => Promise<void>;
}

function plainAead(): Foreign {
  const keys = [randomBytes(32), randomBytes(32)];
  const folder = temporaryFolder();
  const files = keys.map((key, index) => ({ file: privateFile(folder, String(index), key) }));
  const codec: CodecConfig = { type: "plain-aead", algorithm: "aes-256-gcm", keys: files, aad: "{table}.{column}/{row.id}" };
  return { keys, aad: "person.email/{id}", codec };
}

function opensppFields(): Foreign {
  const [newest, oldest] = [randomBytes(32), randomBytes(32)];
  const masterKey = { file: privateFile(temporaryFolder(), "master", openspp.masterKeyBase64) };
  return {
    keys: [newest, oldest],
    aad: "res.partner.email",
    codec: { type: "openspp", model: "res.partner", masterKey, keyRows: { database: "crm" } },
    setup: async ({ database }) => {
      await database.query(
        "create table spp_encryption_key(id serial primary key, key_id varchar not null, version int not null, encrypted_key varchar)",
      );
      for (const [index, key] of [oldest, newest].entries()) {
        const wrapped = sealOpenspp(openspp.masterKey, randomBytes(12), key, "spp.encryption.key:pii_pii");
        const values = ["pii_pii", index + 1, wrapped];
        await database.query("insert into spp_encryption_key(key_id, version, encrypted_key) values ($1, $2, $3)", values);
      }
    },
  };
}

/** Every row as the other system had it: half of them under an older key. Rows have been there before `truth` begins to count. */
async function sealAll({ database }: Place, { keys, aad }: Foreign): Promise<void> {
  const all = await database.query("select id::text, email from person");
  const sealed = all.map(({ id, email }, position) =>
    sealOpenspp(keys[position % 2] ?? Buffer.alloc(32), randomBytes(12), String(email), aad.replace("{id}", String(id))),
  );
  const columns = [all.map(({ id }) => id), sealed];
  await database.query(
    "update person set email = n.email, written = written + 1 from unnest($1::bigint[], $2::text[]) as n(id, email) where n.id = person.id",
    columns,
  );
}

it.each([
  ["plain-aead", plainAead],
  ["openspp", opensppFields],
])(
  `values of another system (%s) become Keystead's under an application that goes on: ${String(rows)} rows, none lost, none replaced twice`,
  { timeout: 600_000 },
  async (_, createForeign) => {
    const foreign = createForeign();
    const place = await createPlace(["email_index"], { legacy: foreign.codec });
    const { keystead, database } = place;
    const { datasets } = keystead;
    await foreign.setup?.(place);
    await sealAll(place, foreign);
    const [{ broken } = {}] = await database.query(
      "insert into person (id, email) select $1, translate(left(email, 20), 'ABCDEF', 'BCDEFA') || right(email, -20) from person where id = 1 returning email as broken",
      [damaged],
    );
    await datasets.add("crm.person", personWith({ key: "pii" }));
    const application = new Deployment(place);
    const keys = foreign.keys.map((key) => key.toString("hex"));
    const start = (name: string, writes: boolean): Promise<void> =>
      application.deploy({ name, way: "record", searches: false, foreign: { keys, aad: foreign.aad, writes } });
    await start("foreign", true);
    await application.turn();

    // The job begins while the other system's form is still written, and comes to its end when Keystead's is.
    await runKilled(place, { step: "import", workers: 3, kills: 6 }, async () => {
      await application.turn();
      await start("keystead", false);
    });
    await runKilled(place, { step: "import", workers: 2, kills: 2 });
    await application.turn();
    await application.deploy({ name: "alone", way: "record", searches: false });
    const { writes, inserts, deletes, reads } = await application.stop();

    const { state, progress, census } = await datasets.reencrypt("crm.person", { from: "legacy" });
    expect({ state, replaced: progress.replaced, problems: progress.problems }).toEqual({ state: "done", replaced: 0, problems: 1 });
    expect(progress.firstProblems).toMatchObject([{ row: { id: String(damaged) }, column: "email", code: "DECRYPTION_FAILED" }]);
    const present = await queryNumber(place, "select count(*) from truth where alive");
    expect(census?.columns).toMatchObject([{ plaintext: 1, versions: [{ count: present, standing: "current" }] }]);
    expect(await database.query("select email, replaced from person where id = $1", [damaged])).toEqual([{ email: broken, replaced: 0 }]);
    const notOnce = "select count(*) from person join truth using (id) where replaced <> (form in ('first', 'foreign'))::int";
    expect(await queryNumber(place, notOnce)).toBe(0);
    expect(await queryNumber(place, "select count(*) from person join truth using (id) where form = 'foreign'")).toBeGreaterThan(0);

    await database.query("delete from person where id = $1", [damaged]);
    expect(await findWrong(place)).toEqual([]);
    expect((await datasets.reencrypt("crm.person", { from: "legacy" })).census?.columns).toMatchObject([{ plaintext: 0 }]);
    const sample = await database.query(
      "select id::text, email from truth where alive and email not like 'shared%' order by random() limit 20",
    );
    for (const { id, email } of sample)
      expect(await datasets.find("crm.person", "email", [String(email)])).toMatchObject({ complete: true, rows: [{ row: { id } }] });
    expect((await keystead.audit.verify()).findings).toEqual([]);
    process.stdout.write(
      `${String(writes)} writes, ${String(inserts)} inserts, ${String(deletes)} deletes, ${String(reads)} reads of the application\n`,
    );
  },
);
