import { type JournalFile, type OpenJournalFile, openJournalFile } from "../../../src/audit/journal-file.ts";

/** A real journal file whose synchronisation a test can hold, count and break. */
export class ControlledFile {
  /** How often the file was written, made durable and closed. */
  writes = 0;
  syncs = 0;
  closed = 0;
  /** Longest piece that one write takes. */
  pieces = Number.POSITIVE_INFINITY;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;
  #failure: { readonly at: "write" | "datasync"; readonly error: Error; readonly after: number } | undefined;

  /** Gives to a journal. */
  readonly openFile: OpenJournalFile = async (path) => {
    const file = await openJournalFile(path);
    return {
      write: (data) => this.#write(file, data),
      datasync: () => this.#datasync(file),
      stat: () => file.stat(),
      close: () => {
        this.closed++;
        return file.close();
      },
    };
  };

  /** From now on nothing becomes durable until {@link ControlledFile.release}. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#gate = promise.then(() => undefined);
    this.#open = () => resolve(undefined);
  }

  release(): void {
    this.#open();
  }

  /** From now on this fails; a failing write takes `after` bytes first. */
  fail(at: "write" | "datasync", error: Error, after = 0): void {
    this.#failure = { at, error, after };
  }

  repair(): void {
    this.#failure = undefined;
  }

  async #write(file: JournalFile, data: Uint8Array): Promise<{ readonly bytesWritten: number }> {
    this.writes++;
    if (this.#failure?.at === "write") {
      await file.write(data.subarray(0, this.#failure.after));
      throw this.#failure.error;
    }
    return file.write(data.subarray(0, Math.min(data.length, this.pieces)));
  }

  async #datasync(file: JournalFile): Promise<void> {
    await this.#gate;
    this.syncs++;
    if (this.#failure?.at === "datasync") throw this.#failure.error;
    await file.datasync();
  }
}
