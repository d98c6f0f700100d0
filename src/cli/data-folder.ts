import { lstat, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { writeWhole } from "../durable-file.ts";
import { KeysteadError } from "../errors.ts";
import { type Configuration, formatConfiguration, parseConfiguration } from "./configuration.ts";
import { unreadable, unwritable } from "./file-failures.ts";
import { globalOptions } from "./options.ts";

const othersMayWrite = 0o022;

/** Names of the files in a data folder. */
export const folderFiles = { configuration: "keystead.json", store: "keystead.db", masterKey: "master.key", audit: "audit" } as const;

/** The data folder that a command works on: `--dir`, else `$KEYSTEAD_DIR`, else `./keystead-data`. As it was typed. */
export function folderOf(command: Command): string {
  const { dir } = globalOptions(command);
  const configured = process.env["KEYSTEAD_DIR"];
  return dir ?? (configured === undefined || configured === "" ? "./keystead-data" : configured);
}

/** A folder with everything of one store: configuration, store, master key, audit journals. */
export class DataFolder {
  /** As it was typed. */
  readonly name: string;
  readonly path: string;
  #configuration: Configuration;

  private constructor(name: string, configuration: Configuration) {
    this.name = name;
    this.path = resolve(name);
    this.#configuration = configuration;
  }

  /**
   * Opens a data folder that `keystead init` made.
   * @throws KeysteadError `STORE_NOT_FOUND`, `INSECURE_FILE` when others may write it, `INVALID_ARGUMENT` for the configuration
   */
  static async open(name: string): Promise<DataFolder> {
    const path = resolve(name);
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) {
      throw new KeysteadError(
        "STORE_NOT_FOUND",
        `there is no data folder at ${name}; make one with \`keystead init\`, or name yours with --dir or KEYSTEAD_DIR`,
      );
    }
    await assertOnlyOwnerWrites(path, name);
    return new DataFolder(name, await readConfiguration(name));
  }

  /** A folder whose configuration is not written yet. */
  static unsaved(name: string, configuration: Configuration): DataFolder {
    return new DataFolder(name, configuration);
  }

  /** Writes the configuration of a folder that has none. @throws KeysteadError `CONFLICT` when it has one */
  async create(): Promise<void> {
    await this.#write([formatConfiguration(this.#configuration)], false);
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Changes the configuration, whole and durably; two commands at once don't overwrite each other. */
  async change(edit: (configuration: Configuration) => Configuration): Promise<void> {
    const { name } = this;
    let next = this.#configuration;
    // Read while it is being written, when no other command can change it.
    async function* changed(): AsyncGenerator<string> {
      next = edit(await readConfiguration(name));
      yield formatConfiguration(next);
    }
    await this.#write(changed(), true);
    this.#configuration = next;
  }

  async #write(text: Iterable<string> | AsyncIterable<string>, replace: boolean): Promise<void> {
    const file = join(this.path, folderFiles.configuration);
    const temporary = `${file}.new`;
    await writeWhole(file, text, {
      temporary,
      ...(!replace && { taken: `${file} exists already and is left as it is; name another folder` }),
      busy: `another command changes ${folderFiles.configuration} at this moment; if none does, remove ${temporary}`,
      failed: (cause) => unwritable(file, cause),
    });
  }
}

/** @throws KeysteadError `INSECURE_FILE` */
export async function assertOnlyOwnerWrites(path: string, name: string): Promise<void> {
  if (process.platform === "win32") return;
  const { mode } = await stat(path);
  if ((mode & othersMayWrite) === 0) return;
  throw new KeysteadError(
    "INSECURE_FILE",
    `others than its owner may write ${name}, and so point Keystead at other files; run: chmod go-w ${name}`,
  );
}

async function readConfiguration(folder: string): Promise<Configuration> {
  const file = join(folder, folderFiles.configuration);
  if ((await lstat(file).catch(() => undefined)) === undefined) {
    throw new KeysteadError(
      "STORE_NOT_FOUND",
      `${folder} has no ${folderFiles.configuration}; make it with \`keystead init --dir ${folder}\``,
    );
  }
  await assertOnlyOwnerWrites(file, file);
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  return parseConfiguration(text, file);
}
