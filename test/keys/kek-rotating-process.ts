import { openKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";

/** Re-wraps everything to and fro until it is killed, and prints a line for each key. Argument: store URL. */
const [store = ""] = process.argv.slice(2);
const masterKeys = { main: { bytes: canaries.masterKey.bytes }, next: { bytes: canaries.importedKey.bytes } };
const keystead = await openKeystead({ store, masterKeys });
const print = (): boolean => process.stdout.write(".\n");
for (;;) {
  await keystead.keks.rotate("local:main", "local:next", print);
  await keystead.keks.rotate("local:next", "local:main", print);
}
