import { openKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";

/** Seals with a key until it is killed, and prints how many it has sealed. Arguments: store URL, key. */
const [store = "", name = ""] = process.argv.slice(2);
const keystead = await openKeystead({ store, masterKeys: { main: { bytes: canaries.masterKey.bytes } } });
const key = await keystead.open(name);
for (let count = 1; ; count += 1) {
  key.encrypt("x");
  if (count % 500 !== 0) continue;
  process.stdout.write(`${String(count)}\n`);
  await new Promise((resolve) => setImmediate(resolve));
}
