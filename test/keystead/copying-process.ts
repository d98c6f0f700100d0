import { copyKeystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";

/** Moves a store, and says when it begins and how far it is. Arguments: URLs of the store and of the place for it. */
const [from = "", to = ""] = process.argv.slice(2);
process.stdout.write("begun\n");
await copyKeystead({ store: from, masterKeys: { main: { bytes: canaries.masterKey.bytes } } }, to, {
  move: true,
  onProgress: (rows) => process.stdout.write(`${String(rows)}\n`),
});
process.stdout.write("moved\n");
