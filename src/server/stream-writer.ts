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

  constructor(exchange: Exchange, head: StreamHead) {
    this.#exchange = exchange;
    this.#head = head;
  }

  /** True once the answer's head is sent, so that its status can't change. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Resolves when more may be written; at once when the client is gone. */
  async write(piece: string): Promise<void> {
    this.#begin();
    this.#text += piece;
    if (this.#text.length < chunkLength) {
      this.#flush ??= setImmediate(() => this.#send());
      return;
    }
    if (!this.#send()) await this.#drained();
  }

  /** Writes bytes as they are; resolves as {@link write}. */
  async writeBytes(bytes: Uint8Array): Promise<void> {
    this.#begin();
    const { raw } = this.#exchange.reply;
    if (!raw.destroyed && !raw.write(bytes)) await this.#drained();
  }

  /** Writes at once, beginning the answer when need be; nothing when the client does not read what it has. */
  heartbeat(piece: string): void {
    this.#begin();
    if (this.#exchange.reply.raw.writableNeedDrain) return;
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

  /** @returns false when the client is behind */
  #send(): boolean {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    const text = this.#text;
    this.#text = "";
    const { raw } = this.#exchange.reply;
    return text === "" || raw.destroyed || raw.write(text);
  }

  #drained(): Promise<void> {
    const { raw } = this.#exchange.reply;
    return new Promise((resolve) => {
      const settle = (): void => {
        raw.off("drain", settle).off("close", settle);
        resolve();
      };
      raw.on("drain", settle).on("close", settle);
      if (raw.destroyed) settle();
    });
  }
}
