import process from "node:process";
import type { ChainLine } from "../chain-writer.ts";
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

  async append(_writer: string, lines: readonly ChainLine[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const text = lines.map(({ bytes }) => `${bytes.toString("utf8")}\n`).join("");
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(text, (error) => {
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
