import { isKeysteadError } from "../../src/errors.ts";
import { openKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";

/** Opens a ciphertext over and over until its version is refused; prints `opened` once and then the code. Arguments: store URL, key, ciphertext. */
const [store = "", name = "", sealed = ""] = process.argv.slice(2);
const keystead = await openKeystead({ store, masterKeys: { main: { bytes: canaries.masterKey.bytes } } });
const key = await keystead.open(name);
key.decrypt(sealed);
process.stdout.write("opened\n");
for (;;) {
  try {
    key.decrypt(sealed);
  } catch (error) {
    process.stdout.write(`${isKeysteadError(error) ? error.code : "unknown"}\n`);
    break;
  }
  await new Promise((resolve) => setImmediate(resolve));
}
await keystead.close();
