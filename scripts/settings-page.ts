import { z } from "zod";
import { configurationSchema } from "../src/cli/configuration.ts";
import { changeableSettings, settingDefinitions } from "../src/keys/settings.ts";
import { serverSettingsSchema } from "../src/server/settings.ts";
import { settingsTable } from "./settings-table.ts";

const storeSettingsSchema = z.strictObject(
  Object.fromEntries(
    changeableSettings.map((name) => {
      const { initial, min, max, does } = settingDefinitions[name];
      return [name, z.int().min(min).max(max).default(initial).describe(does)];
    }),
  ),
);

/** The page docs/server-settings.md: every setting, from the schemas. */
export function settingsPage(): string {
  return `# Settings

A setting that is not listed here is refused. Those of a table in your database stand with the dataset ([datasets.md](datasets.md)).

## The data folder: keystead.json

Paths are relative to the folder. Everything that makes Keystead open a file or an address is named here, and nowhere else.

${settingsTable(configurationSchema)}

## The server

They stand under \`server\` in \`keystead.json\`; a dot leads into an object. Paths of files are relative to the data folder. Options of
\`keystead serve\` (\`--host\`, \`--port\`, \`--workers\`) stand above them.

${settingsTable(serverSettingsSchema)}

## The store

They live in the store and hold for every process: \`keystead settings list\`, \`keystead settings set NAME VALUE\`.

${settingsTable(storeSettingsSchema)}
`;
}
