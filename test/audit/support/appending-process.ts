import { writeSync } from "node:fs";
import { Journal } from "../../../src/audit/journal.ts";
import { systemClock } from "../../../src/clock.ts";
import { systemRandom } from "../../../src/crypto/random.ts";

/** A program that records as fast as it can and reports each number once it was answered, until it is killed. */
const [directory = "", storeId = ""] = process.argv.slice(2);
const journal = await Journal.open({ directory, storeId, clock: systemClock, random: systemRandom });
let last = 0;

async function appendForEver(): Promise<never> {
  for (;;) {
    const number = ++last;
    await journal.record({
      action: "keys.rotate",
      outcome: "allowed",
      principal: { source: "embedded", id: "embedded" },
      detail: { number },
    });
    writeSync(1, `${number}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, appendForEver));
