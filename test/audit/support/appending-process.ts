import { Journal } from "../../../src/audit/journal.ts";
import { systemClock } from "../../../src/clock.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { identifyProcess, type ProcessIdentity } from "../../../src/process-identity.ts";

/**
 * A program that records as fast as it can and reports each number once it was answered, until it is killed. Its third argument
 * holds what it pretends to be.
 */
const [directory = "", storeId = "", identity = "{}"] = process.argv.slice(2);
const pretended = Object.entries(JSON.parse(identity) as Record<keyof ProcessIdentity, unknown>).map(([name, value]) => [
  name,
  value ?? undefined,
]);
const journal = await Journal.open({
  directory,
  storeId,
  clock: systemClock,
  random: systemRandom,
  identity: { ...identifyProcess(), ...(Object.fromEntries(pretended) as Partial<ProcessIdentity>) },
});
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
    await new Promise((resolve) => process.stdout.write(`${number}\n`, resolve));
  }
}

await Promise.all(Array.from({ length: 8 }, appendForEver));
