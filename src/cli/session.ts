import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { KeysteadApi } from "../api/keystead-api.ts";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import type { AuditSinkConfig, Clock, CodecConfig, Keystead, KeysteadOptions, MasterKeyConfig } from "../index.ts";
import { nearestName } from "../nearest-name.ts";
import type { MasterKeyOrigin } from "./configuration.ts";
import type { DataFolder } from "./data-folder.ts";
import { HintedError } from "./failure.ts";
import { jobHint } from "./job-hints.ts";
import { type Output, outputOf } from "./output.ts";
import { readPassphrase } from "./prompts.ts";
import { serverOf } from "./remote.ts";

/** What a command works with, wherever the engine is. */
export interface Session {
  readonly keystead: KeysteadApi;
  readonly output: Output;
  readonly clock: Clock;
  /** Absent when the engine is a server's. */
  readonly local?: LocalEngine;
}

/** The engine of a data folder. */
export interface LocalEngine {
  readonly keystead: Keystead;
  readonly folder: DataFolder;
}

/** What a command works with that needs the data folder. */
export interface LocalSession extends LocalEngine, Pick<Session, "output" | "clock"> {}

/** How a store is opened. */
export interface SessionOptions {
  /** Brings an older schema up to date. */
  readonly migrate?: boolean;
  readonly passphrases?: PassphraseOptions;
}

/** How a data folder is opened, beside how its passphrases are read. */
export interface FolderOptions {
  /** Stdout is for audit lines, where the configuration wants them there: the command prints nothing on it. */
  readonly recordsOnStdout?: boolean;
}

/** How passphrases are read. */
export interface PassphraseOptions {
  /** Master key whose passphrase is typed twice, because it is new. */
  readonly typedTwice?: string;
  /** Master key whose passphrase is named by KEYSTEAD_NEW_PASSPHRASE_FILE, beside that of the old one. */
  readonly fromNewFile?: string;
}

/** Who answers, as hints need it. */
type Known = Pick<Session, "keystead" | "local">;

/** Names of what an error says is unknown; of a server's configuration those that are in use. */
const knownNames: Partial<Record<ErrorCode, (session: Known) => Promise<string[]>>> = {
  UNKNOWN_KEY: async ({ keystead }) => (await keystead.keys.list()).flatMap((key) => [key.name, ...key.aliases]),
  UNKNOWN_PURPOSE: async ({ keystead }) => (await keystead.purposes.list()).map(({ name }) => name),
  UNKNOWN_DATASET: async ({ keystead }) => (await keystead.datasets.list()).map(({ name }) => name),
  UNKNOWN_DATABASE: async ({ keystead, local }) =>
    local === undefined
      ? (await keystead.datasets.list()).map(({ database }) => database)
      : Object.keys(local.folder.configuration.databases),
  UNKNOWN_CODEC: async ({ local }) => Object.keys(local?.folder.configuration.codecs ?? {}),
  UNKNOWN_KEK: async ({ keystead, local }) =>
    local === undefined
      ? (await keystead.keks.list()).map(({ uri }) => uri)
      : Object.keys(local.folder.configuration.masterKeys).map((name) => `local:${name}`),
};

/** What to do about a name that is near to none that is known. */
const remedies: Partial<Record<ErrorCode, string>> = {
  UNKNOWN_DATABASE:
    "say where it is: with --url sqlite:./FILE or postgresql://USER@HOST/DATABASE when you add a dataset of it, or under databases in keystead.json",
  UNKNOWN_CODEC: "describe it under codecs in keystead.json (docs/codecs.md)",
};

/** The same where a server answers. */
const serverRemedies: Partial<Record<ErrorCode, string>> = {
  UNKNOWN_DATABASE: "databases are named under databases in the server's keystead.json, which it reads when it starts",
  UNKNOWN_CODEC: "codecs are described under codecs in the server's keystead.json, which it reads when it starts",
  SERVER_UNREACHABLE: "KEYSTEAD_ADDR names the server; give --dir FOLDER to work on a data folder of this machine",
  UNAUTHENTICATED: "the token comes from KEYSTEAD_TOKEN_FILE or KEYSTEAD_TOKEN; `keystead tokens create` makes another",
};

/**
 * Opens the store of a command's data folder, or the way to its server, does the work and closes it, whatever happens. What is needed
 * is loaded here and not before, so that help, version and completion answer at once.
 */
export async function withKeystead(command: Command, work: (session: Session) => Promise<void>): Promise<void> {
  const address = serverOf(command);
  if (address !== undefined) return useServer(address, command, work);
  await withLocalKeystead(command, ({ keystead, folder, ...session }) => work({ keystead, local: { keystead, folder }, ...session }));
}

/** {@link withKeystead} for what only works where the data folder is: {@link assertPlace} has refused the others. */
export async function withLocalKeystead(
  command: Command,
  work: (session: LocalSession) => Promise<void>,
  options: SessionOptions = {},
): Promise<void> {
  const { DataFolder, folderOf } = await import("./data-folder.ts");
  await useFolder(await DataFolder.open(folderOf(command)), command, work, options);
}

async function useServer(address: string, command: Command, work: (session: Session) => Promise<void>): Promise<void> {
  const { connectionTo } = await import("./server-connection.ts");
  const { KeysteadClient } = await import("../client/index.ts");
  const { systemClock } = await import("../clock.ts");
  const keystead = new KeysteadClient(await connectionTo(address));
  try {
    await work({ keystead, output: outputOf(command), clock: systemClock });
  } catch (error) {
    throw await withHint(error, { keystead }, command);
  } finally {
    await keystead.close();
  }
}

/** {@link withLocalKeystead} on a folder that is open already. */
export async function useFolder(
  folder: DataFolder,
  command: Command,
  work: (session: LocalSession) => Promise<void>,
  options: SessionOptions = {},
): Promise<void> {
  const { openKeystead, systemClock } = await import("../index.ts");
  const { passphrases, migrate = false } = options;
  const keystead = await openKeystead({ ...(await keysteadOptions(folder, passphrases)), migrate }).catch((error: unknown) => {
    throw isKeysteadError(error, "WRONG_MASTER_KEY") && asksForPassphrase(folder)
      ? new HintedError(error, "the passphrase is another one")
      : error;
  });
  try {
    await work({ keystead, folder, output: outputOf(command), clock: systemClock });
  } catch (error) {
    const hinted = await withHint(error, { keystead, local: { keystead, folder } }, command);
    // What went wrong first is what matters.
    await keystead.close().catch(() => undefined);
    throw hinted;
  }
  await keystead.close();
}

/** What the engine is told of a data folder. Passphrases are asked for here. */
export async function keysteadOptions(
  folder: DataFolder,
  passphrases: PassphraseOptions = {},
  { recordsOnStdout = false }: FolderOptions = {},
): Promise<KeysteadOptions> {
  const { assertCodecConfig, osUser } = await import("../index.ts");
  const { absoluteFiles, absoluteUrl } = await import("./configuration.ts");
  const { folderFiles } = await import("./data-folder.ts");
  const { store, masterKeys, databases, codecs, audit, access } = folder.configuration;
  const { principal, groups } = osUser();
  const keys: [string, MasterKeyConfig][] = [];
  for (const [name, origin] of Object.entries(masterKeys)) keys.push([name, await masterKey(folder.path, name, origin, passphrases)]);
  const configured: Record<string, CodecConfig> = {};
  for (const [name, options] of Object.entries(codecs)) {
    const codec = absoluteFiles(options, folder.path);
    // Only a name with a type of its own asserts anything.
    const assertConfig: typeof assertCodecConfig = assertCodecConfig;
    assertConfig(name, codec);
    configured[name] = codec;
  }
  return {
    store: absoluteUrl(store, folder.path),
    masterKeys: Object.fromEntries(keys),
    databases: Object.fromEntries(Object.entries(databases).map(([name, url]) => [name, absoluteUrl(url, folder.path)])),
    codecs: configured,
    auditDirectory: join(folder.path, folderFiles.audit),
    audit: { sinks: (audit?.sinks ?? []).flatMap((sink) => sinkOfCommand(sink, folder.path, recordsOnStdout)) },
    principal,
    groups,
    ...(access === "policies" && { access }),
  };
}

/** A sink as a command uses it: what most commands print is their result, so their own records don't go to stdout. */
function sinkOfCommand(sink: AuditSinkConfig, folder: string, recordsOnStdout: boolean): AuditSinkConfig[] {
  if (sink.type === "stdout") return recordsOnStdout ? [sink] : [];
  return [{ ...sink, path: resolve(folder, sink.path) }];
}

function asksForPassphrase({ configuration }: DataFolder): boolean {
  return Object.values(configuration.masterKeys).some((origin) => "passphrase" in origin);
}

async function masterKey(folder: string, name: string, origin: MasterKeyOrigin, passphrases: PassphraseOptions): Promise<MasterKeyConfig> {
  if ("file" in origin) return { file: resolve(folder, origin.file) };
  const own = `KEYSTEAD_PASSPHRASE_FILE_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
  const variables = name === passphrases.fromNewFile ? ["KEYSTEAD_NEW_PASSPHRASE_FILE"] : [own, "KEYSTEAD_PASSPHRASE_FILE"];
  const file = variables.map((variable) => process.env[variable]).find((path) => path !== undefined);
  return { passphrase: await readPassphrase({ name, file, variables, isNew: name === passphrases.typedTwice }) };
}

/** Adds "did you mean", or the remedy, to an error about a name that nobody knows, and what to do about a job in the way. */
async function withHint(error: unknown, known: Known, command: Command): Promise<unknown> {
  if (!(error instanceof KeysteadError)) return error;
  if (error.code === "CONFLICT") {
    const hint = await jobHint(known.keystead, wordsOf(command), command.parent?.name() === "jobs").catch(() => undefined);
    return hint === undefined ? error : new HintedError(error, hint);
  }
  const names = await knownNames[error.code]?.(known).catch(() => []);
  const name = names === undefined ? undefined : nearestName(wordsOf(command), names);
  const hint = name === undefined ? (known.local === undefined ? serverRemedies : remedies)[error.code] : `did you mean ${name}?`;
  return hint === undefined ? error : new HintedError(error, hint);
}

/** Everything in a command line that may be a name, also inside `email=pii-email,key=…`. */
function wordsOf(command: Command): string[] {
  const values = Object.values(command.opts<Record<string, unknown>>()).flat();
  return [...command.args, ...values.filter((value) => typeof value === "string")].flatMap((word) => [word, ...word.split(/[=,+]/)]);
}
