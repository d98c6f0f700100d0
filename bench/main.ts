import { audit } from "./suites/audit.ts";
import { datasets } from "./suites/datasets.ts";
import { handle } from "./suites/handle.ts";
import { server } from "./suites/server.ts";
import { stream } from "./suites/stream.ts";

const suites: Readonly<Record<string, () => Promise<void>>> = { handle, datasets, stream, audit, server };

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(suites, name));
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}\n`);
  process.exitCode = 2;
} else {
  process.stdout.write(`Node ${process.version}, ${process.platform} ${process.arch}; times per unit; contenders take turns in one run\n`);
  for (const [name, run] of Object.entries(suites)) if (chosen.length === 0 || chosen.includes(name)) await run();
}
