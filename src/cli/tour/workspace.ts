import { readdirSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { KeysteadError } from "../../errors.ts";
import { assertOnlyOwnerWrites, DataFolder, folderFiles } from "../data-folder.ts";

const ownerOnly = 0o700;
const databaseName = "sample";
const databaseFile = "sample.db";
const masterKeyName = "main";
const stopping = ["SIGINT", "SIGTERM"] as const;

/** The folder in which the tour works: gone when it is over, unless it is to be kept and everything went well. */
export class Workspace {
  /** Absolute. */
  readonly path: string;
  /** Name of the sample database in the configuration. */
  readonly database = databaseName;
  /** What to remove to leave no trace. */
  readonly #made: string | undefined;
  readonly #onExit = (): void => {
    for (const path of this.#made === undefined ? readdirSync(this.path).map((name) => join(this.path, name)) : [this.#made]) {
      rmSync(path, { recursive: true, force: true });
    }
  };
  readonly #onSignal = (name: NodeJS.Signals): void => {
    process.exit(128 + constants.signals[name]);
  };

  private constructor(path: string, made: string | undefined) {
    this.path = path;
    this.#made = made;
    process.on("exit", this.#onExit);
    process.on("SIGHUP", this.#onSignal);
  }

  /**
   * @param keep folder to use, made when it is missing; absent: a temporary one
   * @throws KeysteadError `CONFLICT` when it holds anything, `INSECURE_FILE` when others may write to it, `STORE_FAILED`
   */
  static async open(keep: string | undefined): Promise<Workspace> {
    if (keep === undefined) {
      const temporary = await mkdtemp(join(tmpdir(), "keystead-tour-")).catch((cause: unknown) => {
        throw new KeysteadError("STORE_FAILED", `no temporary folder can be made in ${tmpdir()}; set TMPDIR, or use --keep`, { cause });
      });
      return new Workspace(temporary, temporary);
    }
    const path = resolve(keep);
    const unusable = (cause: unknown): KeysteadError =>
      new KeysteadError("STORE_FAILED", `the folder ${keep} can't be used; name another with --keep`, { cause });
    const made = await mkdir(path, { recursive: true, mode: ownerOnly }).catch((cause: unknown) => {
      throw unusable(cause);
    });
    const files = await readdir(path).catch((cause: unknown) => {
      throw unusable(cause);
    });
    if (files.length > 0)
      throw new KeysteadError("CONFLICT", `${keep} is not empty and is left as it is; name an empty folder, or a new one, with --keep`);
    await assertOnlyOwnerWrites(path, keep);
    return new Workspace(path, made);
  }

  get masterKeyFile(): string {
    return join(this.path, folderFiles.masterKey);
  }

  get storeUrl(): string {
    return `sqlite:${join(this.path, folderFiles.store)}`;
  }

  get databasePath(): string {
    return join(this.path, databaseFile);
  }

  /** Makes it a data folder that every command of the command line can open, to be left behind. */
  async keep(): Promise<void> {
    const configuration = {
      store: `sqlite:./${folderFiles.store}`,
      masterKeys: { [masterKeyName]: { file: `./${folderFiles.masterKey}` } },
      databases: { [databaseName]: `sqlite:./${databaseFile}` },
      codecs: {},
    };
    await DataFolder.unsaved(this.path, configuration).create();
    this.#release();
  }

  /** Removes everything that was made here. */
  async remove(): Promise<void> {
    const files = this.#made === undefined ? (await readdir(this.path)).map((name) => join(this.path, name)) : [this.#made];
    for (const file of files) await rm(file, { recursive: true, force: true, maxRetries: 3 });
    this.#release();
  }

  /** From now on a signal ends the process at once; what was made is removed all the same. */
  hurry(): void {
    for (const name of stopping) process.on(name, this.#onSignal);
  }

  #release(): void {
    process.off("exit", this.#onExit);
    for (const name of ["SIGHUP", ...stopping]) process.off(name, this.#onSignal);
  }
}
