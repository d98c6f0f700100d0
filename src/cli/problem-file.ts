import { createHash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { KeysteadError } from "../errors.ts";
import type { RowProblem } from "../index.ts";

/** So many problems are known again; each takes about 100 bytes. What comes after them may be written once a pass. */
const mostKnown = 100_000;

/** A file of rows that a job left alone: one JSON object a line, as they are found, and once although each pass finds them again. */
export class ProblemFile {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #known = new Set<string>();
  #isEmpty = true;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Makes a new file, which only this user may read: it names rows. @throws KeysteadError `INVALID_ARGUMENT` when there is one */
  static async create(path: string): Promise<ProblemFile> {
    try {
      return new ProblemFile(path, await open(path, "wx", 0o600));
    } catch (error) {
      throw new KeysteadError("INVALID_ARGUMENT", "--problems: the file can't be made, or is there already: name a new one", {
        cause: error,
      });
    }
  }

  /** Writes those whose row, column and code are not in the file yet. */
  write(problems: readonly RowProblem[]): void {
    const lines = problems.filter((problem) => this.#isNew(problem)).map((problem) => `${JSON.stringify(problem)}\n`);
    if (lines.length === 0) return;
    this.#isEmpty = false;
    this.#writing = this.#writing.then(() => this.#file.appendFile(lines.join("")));
    // A failure is told when the file is closed.
    this.#writing.catch(() => undefined);
  }

  /** Takes the file away again when nothing was to write. @throws the error of a write */
  async close(): Promise<void> {
    await this.#writing.finally(() => this.#file.close());
    if (this.#isEmpty) await rm(this.#path, { force: true });
  }

  #isNew({ row, column, code }: RowProblem): boolean {
    const known = createHash("sha256")
      .update(JSON.stringify([row, column, code]))
      .digest("base64");
    if (this.#known.has(known)) return false;
    if (this.#known.size < mostKnown) this.#known.add(known);
    return true;
  }
}
