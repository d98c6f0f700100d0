import { type FileHandle, open } from "node:fs/promises";
import { KeysteadError } from "../errors.ts";
import type { RowProblem } from "../index.ts";

/** A file of rows that a job left alone: one JSON object a line, as they are found. */
export class ProblemFile {
  readonly #file: FileHandle;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Makes a new file, which only this user may read: it names rows. @throws KeysteadError `INVALID_ARGUMENT` when there is one */
  static async create(path: string): Promise<ProblemFile> {
    try {
      return new ProblemFile(await open(path, "wx", 0o600));
    } catch (error) {
      throw new KeysteadError("INVALID_ARGUMENT", "--problems: the file can't be made, or is there already: name a new one", {
        cause: error,
      });
    }
  }

  write(problems: readonly RowProblem[]): void {
    const lines = problems.map((problem) => `${JSON.stringify(problem)}\n`).join("");
    this.#writing = this.#writing.then(() => this.#file.appendFile(lines));
    // A failure is told when the file is closed.
    this.#writing.catch(() => undefined);
  }

  /** @throws the error of a write */
  async close(): Promise<void> {
    await this.#writing.finally(() => this.#file.close());
  }
}
