import { isAbsolute, relative, resolve } from "node:path";
import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { checkFields } from "../field-problem.ts";
import { type ServerSettings, serverSettingsSchema } from "../server/settings.ts";

const masterKeySchema = z.union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ passphrase: z.literal("ask") })], {
  error: `must be { "file": PATH } or { "passphrase": "ask" }`,
});

const count = z.int().min(1);
const sinkSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("file"),
    path: z.string().min(1).describe("File of a `file` sink, for its owner only; made when missing."),
    maxBytes: z.exactOptional(
      count.describe(
        "Bytes beyond which a `file` sink goes on in a new file; the old one is renamed. 67108864 (64 MiB) unless it is given.",
      ),
    ),
    keep: z.exactOptional(count.describe("Renamed files of a `file` sink that are kept, older ones are removed; all unless it is given.")),
  }),
  z.strictObject({ type: z.literal("stdout") }),
]);

/** Every field of `keystead.json`. The engine checks what each type of codec takes, `keystead serve` checks `server`. */
export const configurationSchema = z.strictObject({
  store: z.string().min(1).describe("Where keys are: `sqlite:PATH` or `postgresql://…` (docs/stores.md)."),
  masterKeys: z
    .record(z.string().min(1), masterKeySchema)
    .refine((keys) => Object.keys(keys).length > 0, "names no master key")
    .describe('Master keys by name, one at least: `{ "file": PATH }`, or `{ "passphrase": "ask" }`.'),
  databases: z
    .record(z.string().min(1), z.string().min(1))
    .default({})
    .describe("Databases of datasets, by the name that datasets call them: URLs; a password stands in a file that they name."),
  codecs: z
    .record(z.string().min(1), z.looseObject({ type: z.string() }))
    .default({})
    .describe("Codecs of foreign ciphertext by name, each with its `type` and what that takes (docs/codecs.md)."),
  server: z.exactOptional(z.record(z.string(), z.unknown())).describe("Settings of `keystead serve`: the table below."),
  audit: z.exactOptional(
    z.strictObject({
      sinks: z
        .array(sinkSchema)
        .describe(
          'Where audit records go beside the store: `{ "type": "stdout" }` and `{ "type": "file", "path": PATH }` (docs/audit.md).',
        ),
    }),
  ),
  access: z
    .exactOptional(z.enum(["open", "policies"]))
    .describe("What a user of the command line may do: `open`: all, as whoever may read the folder; `policies`: what policies say."),
});

/**
 * The local configuration, `keystead.json`: everything that makes Keystead open a file or an address is named here, never in
 * the store. Relative paths are relative to its folder.
 */
export type Configuration = Readonly<z.output<typeof configurationSchema>>;

/** Where a master key comes from: a file, or a passphrase that is asked for. */
export type MasterKeyOrigin = Configuration["masterKeys"][string];

const scheme = "sqlite:";

/**
 * Reads the text of `keystead.json`. Fields that it doesn't know are refused: a typing error must not be a setting ignored.
 * @param file for messages
 * @throws KeysteadError `INVALID_ARGUMENT` naming the field
 */
export function parseConfiguration(text: string, file: string): Configuration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const [place] = /line \d+ column \d+/.exec(error instanceof Error ? error.message : "") ?? [];
    throw new KeysteadError("INVALID_ARGUMENT", `${file} is not JSON${place === undefined ? "" : ` (${place})`}; correct it`);
  }
  const parsed = checkFields("the file", configurationSchema, value);
  if (parsed.problem === undefined) return parsed.data;
  throw new KeysteadError("INVALID_ARGUMENT", `${file}: ${parsed.problem} (see \`keystead init --help\`)`);
}

/** The text of `keystead.json`, with its fields always in the same order. */
export function formatConfiguration({ store, masterKeys, databases, codecs, audit, access, server }: Configuration): string {
  const named = {
    ...(Object.keys(codecs).length > 0 && { codecs }),
    ...(audit !== undefined && { audit }),
    ...(access !== undefined && { access }),
    ...(server !== undefined && { server }),
  };
  return `${JSON.stringify({ store, masterKeys, databases, ...named }, undefined, 2)}\n`;
}

/**
 * The settings of the server.
 * @param given - on the command line: stands above what the file says
 * @throws KeysteadError `INVALID_ARGUMENT` naming the setting
 */
export function serverSettings({ server = {} }: Configuration, given: Readonly<Record<string, unknown>>): ServerSettings {
  const parsed = checkFields("server", serverSettingsSchema, { ...server, ...given });
  if (parsed.problem === undefined) return parsed.data;
  throw new KeysteadError("INVALID_ARGUMENT", `the settings of the server: ${parsed.problem} (see docs/server-settings.md)`);
}

/** A URL with the path of a file in it made absolute, seen from `folder`. */
export function absoluteUrl(url: string, folder: string): string {
  const path = filePathOf(url);
  return path === undefined ? url : `${scheme}${resolve(folder, path)}`;
}

/** The options of a codec with each `{ "file": PATH }` in them made absolute, seen from `folder`. */
export function absoluteFiles(options: unknown, folder: string): unknown {
  if (Array.isArray(options)) return options.map((option) => absoluteFiles(option, folder));
  if (typeof options !== "object" || options === null) return options;
  return Object.fromEntries(
    Object.entries(options).map(([name, value]: [string, unknown]) => [
      name,
      name === "file" && typeof value === "string" ? resolve(folder, value) : absoluteFiles(value, folder),
    ]),
  );
}

/** A URL as it is kept in the configuration: relative for a file in the folder, which may then be moved as a whole. */
export function configuredUrl(url: string, folder: string): string {
  const path = filePathOf(url);
  if (path === undefined) return url;
  const below = relative(folder, path);
  return below === ".." || below.startsWith("../") || below.startsWith("..\\") || isAbsolute(below)
    ? `${scheme}${path}`
    : `${scheme}${below}`;
}

/**
 * A URL from the command line, as it is. What is in an argument can be seen by every user of the machine.
 * @throws KeysteadError `INVALID_ARGUMENT` when it carries a password
 */
export function assertNoPassword(url: string): string {
  // Not by URL: it does not take those of several hosts.
  if (!/^[^:/?#]*:\/\/[^/?#]*:[^/?#]*@/.test(url)) return url;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    "a password in an argument is seen by others: write it into a file and name that by ?passfile=FILE",
  );
}

function filePathOf(url: string): string | undefined {
  const path = url.startsWith(scheme) ? url.slice(scheme.length) : "";
  return path === "" || path.startsWith(":") || path.startsWith("//") ? undefined : path;
}
