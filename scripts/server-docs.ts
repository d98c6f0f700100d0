import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import { withMetricsTables } from "../src/metrics/metrics-table.ts";
import { settingsPage } from "./settings-page.ts";
import { root } from "./tools.ts";

// Writes docs/server-settings.md from the schema, and the tables of docs/monitoring.md from the definitions of metrics; tests hold them to that.

writeFileSync(join(root, "docs", "server-settings.md"), await format(settingsPage(), { parser: "markdown", printWidth: 140 }));

const monitoring = join(root, "docs", "monitoring.md");
const page = withMetricsTables(readFileSync(monitoring, "utf8"));
writeFileSync(monitoring, await format(page, { parser: "markdown", printWidth: 140 }));
