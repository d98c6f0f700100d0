import type { Exchange } from "./exchange.ts";

const chunkLength = 16_384;

/** How the answer of a stream begins. */
export interface StreamHead {
  readonly status: number;
  readonly type: string;
  /** Nothing else is to be answered on its connection. */
  readonly isLast: boolean;
}

/** Writes an answer piece by piece, no faster than the client reads. Small pieces that come together go out together. */
export class StreamWriter {
  readonly #exchange: Exchange;
  readonly #head: StreamHead;
  #text = "";
  #flush: NodeJS.Immediate | undefined;
  #hasBegun = false;
  /** True while the client has not read what was written. */
  #isBehind = false;

  constructor(exchange: Exchange, head: StreamHead) {
    this.#exchange = exchange;
    this.#head = head;
  }

  /** True once the answer's head is sent, so that its status can't change. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Resolves when more may be written; at once when the client is gone, or nobody waits for the answer any more. */
  async write(piece: string): Promise<void> {
    this.#begin();
    this.#text += piece;
    if (this.#text.length < chunkLength) this.#flush ??= setImmediate(() => this.#send());
    else this.#send();
    // Small pieces count, too: of those that come one by one none ever fills a chunk.
    const drained = this.#drained();
    if (drained !== undefined) await drained;
  }

  /** Writes bytes as they are; resolves as {@link write}. */
  async writeBytes(bytes: Uint8Array): Promise<void> {
    this.#begin();
    this.#put(bytes);
    await this.#drained();
  }

  /** Writes at once, beginning the answer when need be; nothing when the client does not read what it has. */
  heartbeat(piece: string): void {
    this.#begin();
    if (this.#isBehind) return;
    this.#text += piece;
    this.#send();
  }

  end(): void {
    this.#begin();
    this.#send();
    this.#exchange.reply.raw.end();
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { reply, request, headers } = this.#exchange;
    reply.hijack();
    // The client may still be sending when all is answered.
    const connection = request.raw.complete && !this.#head.isLast ? {} : { connection: "close" };
    reply.raw.writeHead(this.#head.status, { ...headers, "content-type": this.#head.type, ...connection });
  }

  #send(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.#put(text);
  }

  #put(piece: string | Uint8Array): void {
    const { raw } = this.#exchange.reply;
    if (raw.destroyed || raw.write(piece) || this.#isBehind) return;
    this.#isBehind = true;
    raw.once("drain", () => {
      this.#isBehind = false;
    });
  }

  /** Undefined when the client is not behind. */
  #drained(): Promise<void> | undefined {
    const { signal } = this.#exchange;
    const { raw } = this.#exchange.reply;
    if (!this.#isBehind || raw.destroyed || signal.aborted) return undefined;
    return new Promise((resolve) => {
      const settle = (): void => {
        raw.off("drain", settle).off("close", settle);
        signal.removeEventListener("abort", settle);
        resolve();
      };
      raw.on("drain", settle).on("close", settle);
      signal.addEventListener("abort", settle);
    });
  }
}
