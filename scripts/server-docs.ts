import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import { settingsPage } from "../src/server/settings-table.ts";
import { root } from "./tools.ts";

// Writes docs/server-settings.md from the schema; test/server/settings-page.test.ts holds it to that.

writeFileSync(join(root, "docs", "server-settings.md"), await format(settingsPage(), { parser: "markdown", printWidth: 140 }));
