/**
 * A process that follows a key: `node following-process.ts <store>`. It says `doctor: ...` for each line of its standard input, and the
 * version that it seals with, whenever that is another one than before.
 */
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { isKeysteadError, openKeystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";

const [store = ""] = process.argv.slice(2);
const keystead = await openKeystead({ store, masterKeys: { main: { bytes: canaries.masterKey.bytes } } });
const handle = await keystead.open("k");
createInterface({ input: process.stdin }).on("line", () => {
  void keystead.doctor.examine().then((findings) => {
    const messages = findings.filter(({ check }) => check === "store").map(({ message }) => message);
    process.stdout.write(`doctor: ${messages.join("; ")}\n`);
  });
});

const retryable: readonly string[] = ["KEY_VERSION_NOT_LOADED", "KEY_BUDGET_NOT_LEASED"];

/** The version that a value is sealed with; none while the newest is being loaded, as rotations here don't wait until all have it. */
function sealingVersion(): string | undefined {
  try {
    return /^ks1:k:(\d+)-/.exec(handle.encrypt("x"))?.[1];
  } catch (error) {
    if (isKeysteadError(error) && retryable.includes(error.code)) return undefined;
    throw error;
  }
}

let before: string | undefined;
for (;;) {
  const version = sealingVersion();
  if (version !== undefined && version !== before) process.stdout.write(`version ${(before = version)}\n`);
  await pause(1);
}
