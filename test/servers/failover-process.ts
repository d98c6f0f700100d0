import { isKeysteadError, openKeystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";

/**
 * Seals, rotates and re-encrypts until it gets a line on standard input, whatever becomes of the database meanwhile. Prints each value
 * that it sealed as a line of JSON, and `failed CODE` for what failed. Arguments: URL of the store, of the database, its audit folder.
 */
const [store = "", database = "", auditDirectory = ""] = process.argv.slice(2);
const life = { goesOn: true };
process.stdin.once("data", () => {
  life.goesOn = false;
  process.stdin.destroy();
});
const keystead = await openKeystead({
  store,
  databases: { crm: database },
  auditDirectory,
  masterKeys: { main: { bytes: canaries.masterKey.bytes } },
});

async function attempt(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isKeysteadError(error)) throw error;
    process.stdout.write(`failed ${error.code}\n`);
  }
}

for (let count = 0; life.goesOn; count += 1) {
  const value = `${String(process.pid)} ${String(count)}`;
  await attempt(async () => {
    const sealed = await keystead.encrypt("pii", value);
    process.stdout.write(`${JSON.stringify({ sealed, value })}\n`);
  });
  if (count % 5 === 0) await attempt(() => keystead.keys.rotate("pii"));
  if (count % 5 === 2) await attempt(() => keystead.datasets.reencrypt("crm.person"));
}
await keystead.close();
