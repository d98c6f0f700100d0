import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { isKeysteadError, openKeystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";

/**
 * Seals one value after the other, whatever becomes of the database meanwhile, and rotates or re-encrypts beside that for each line
 * `rotate` or `reencrypt` on standard input, until it reads `stop`. Prints lines of JSON: each value that it sealed, and each act when it
 * is under way and when it is over, with how it ended. Arguments: URL of the store, of the database, its audit folder.
 */
const [store = "", database = "", auditDirectory = ""] = process.argv.slice(2);
/** So slow that a job is seen at work. */
const rowsPerSecond = 500;
const keystead = await openKeystead({
  store,
  databases: { crm: database },
  auditDirectory,
  masterKeys: { main: { bytes: canaries.masterKey.bytes } },
});
const acts: Readonly<Record<string, (isUnderWay: () => void) => Promise<string>>> = {
  rotate: async (isUnderWay) => {
    isUnderWay();
    await keystead.keys.rotate("pii");
    return "done";
  },
  reencrypt: async (isUnderWay) => {
    const { state, progress } = await keystead.datasets.reencrypt("crm.person", { rowsPerSecond, onProgress: isUnderWay });
    return `${state}, ${String(progress.problems)} problems`;
  },
};

function say(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** What came of some work, or the code of its error. */
async function outcomeOf(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (!isKeysteadError(error)) throw error;
    return error.code;
  }
}

async function perform(act: string): Promise<void> {
  let begin: number | undefined;
  const outcome = await outcomeOf(
    () =>
      acts[act]?.(() => {
        if (begin === undefined) say({ act, begin: (begin = Date.now()) });
      }) ?? Promise.resolve("unknown act"),
  );
  say({ act, begin, end: Date.now(), outcome });
}

const life = { goesOn: true };
const performed: Promise<void>[] = [];
const input = createInterface({ input: process.stdin }).on("line", (line) => {
  if (line !== "stop") performed.push(perform(line));
  else {
    life.goesOn = false;
    input.close();
    process.stdin.destroy();
  }
});
for (let count = 0; life.goesOn; count += 1) {
  const value = `${String(process.pid)} ${String(count)}`;
  await outcomeOf(async () => {
    say({ sealed: await keystead.encrypt("pii", value), value });
    return "done";
  });
  await pause(10);
}
await Promise.all(performed);
await keystead.close();
