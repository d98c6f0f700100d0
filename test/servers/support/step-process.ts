import { flushCompileCache } from "node:module";
import { systemClock } from "../../../src/clock.ts";
import { isKeysteadError, type JobOptions, type JobResult, openKeystead } from "../../../src/index.ts";
import { canaries } from "../../setup/canary.ts";
import { type StepName, stepSchema } from "./step.ts";

/**
 * Does one step on `crm.person`. Prints `page` after each page, and how it ended: state, rows replaced, problems; or `failed` with the
 * code. Argument: the step, as JSON.
 */
const { store, crm, codecs, step, rowsPerSecond } = stepSchema.parse(JSON.parse(process.argv[2] ?? ""));
// Otherwise only a process that ends by itself leaves what it compiled to the next ones.
flushCompileCache();
// The rate is there to make pages small: nothing waits long.
const clock = { ...systemClock, wait: (ms: number, signal?: AbortSignal) => systemClock.wait(Math.min(ms, 20), signal) };
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
const keystead = await openKeystead({ store, masterKeys, databases: { crm }, codecs, clock });
const { datasets } = keystead;
const steps: Readonly<Record<StepName, (options: JobOptions) => Promise<JobResult>>> = {
  protect: (options) => datasets.protect("crm.person", options),
  import: (options) => datasets.reencrypt("crm.person", { ...options, from: "legacy" }),
  index: (options) => datasets.index("crm.person", options),
  "cut-over-index": (options) => datasets.cutOver("crm.person", "email", 2, options),
  "cut-over-column": (options) => datasets.cutOverColumn("crm.person", "email", options),
  "erase-column": (options) => datasets.eraseColumn("crm.person", "email", options),
};
try {
  const { state, progress } = await steps[step]({ rowsPerSecond, onProgress: () => process.stdout.write("page\n") });
  process.stdout.write(`${state} ${String(progress.replaced)} ${String(progress.problems)}\n`);
} catch (error) {
  if (!isKeysteadError(error)) throw error;
  process.stdout.write(`failed ${error.code} ${error.message}\n`);
}
await keystead.close();
