import process from "node:process";
import type { LineGroup } from "../line-group.ts";
import type { AuditSink } from "./audit-sink.ts";

/** Writes lines to the standard output, for a collector that reads it. As durable as what reads it. */
export class StdoutSink implements AuditSink {
  readonly name = "stdout";
  readonly #stream: NodeJS.WritableStream;
  #failure: Error | undefined;
  readonly #onError = (error: Error): void => {
    this.#failure = error;
  };

  constructor(stream: NodeJS.WritableStream = process.stdout) {
    this.#stream = stream;
  }

  async open(): Promise<void> {
    // An error that nobody listens to would end the process.
    this.#stream.on("error", this.#onError);
    await Promise.resolve();
  }

  async append(_writer: string, { bytes }: LineGroup): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(bytes, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(error);
      });
    });
  }

  async close(): Promise<void> {
    this.#stream.off("error", this.#onError);
    await Promise.resolve();
  }
}
