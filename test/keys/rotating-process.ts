import { openKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";

/** Rotates a key so many times while it seals and opens, and prints what it sealed. Arguments: store URL, key, times. */
const [store = "", name = "", times = "0"] = process.argv.slice(2);
const keystead = await openKeystead({ store, masterKeys: { main: { bytes: canaries.masterKey.bytes } } });
for (let count = 0; count < Number(times); count += 1) {
  const sealed = await keystead.encrypt(name, `value ${String(count)}`);
  await keystead.keys.rotate(name);
  const opened = await keystead.decryptText(sealed);
  if (opened !== `value ${String(count)}`) throw new Error("a value opened to another one");
  process.stdout.write(`${sealed}\n`);
}
await keystead.close();
