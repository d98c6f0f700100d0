import { Worker } from "node:worker_threads";
import { KeysteadError } from "../../errors.ts";
import type { LineBlock } from "../store.ts";
import { tables } from "../tables.ts";
import { layoutOf } from "../sql/table-layout.ts";
import type { LineBatch, LineReply, LineThreadData } from "./line-thread-data.ts";
import { mapSqliteError } from "./sqlite-errors.ts";

const memoryUnit = 256 * 1024;

/** Where and how lines are written. */
export type LineWriterOptions = Omit<LineThreadData, "insert">;

interface Waiting {
  readonly batch: LineBatch;
  readonly done: PromiseWithResolvers<undefined>;
}

/**
 * Writes audit lines into an SQLite file by a thread: SQLite keeps its thread from everything else while it writes and waits for the disk,
 * and a server has requests to answer meanwhile. The thread begins with the first batch and is replaced should it end.
 */
export class LineWriter {
  readonly #data: LineThreadData;
  readonly #waiting: Waiting[] = [];
  #thread: Worker | undefined;
  /** Came back from the thread. Memory made anew for each batch would be freed late, and drive the collector of garbage meanwhile. */
  #memory: ArrayBuffer | undefined;

  constructor(options: LineWriterOptions) {
    const { name, sqlNames } = layoutOf(tables.auditLines);
    this.#data = { ...options, insert: `insert into ${name} (${sqlNames.join(", ")}) values (?, ?, ?, 1)` };
  }

  /**
   * Inserts lines in one transaction.
   * @throws KeysteadError `NAME_TAKEN` when one of them is there already, and what the database says
   */
  async append(lines: LineBlock): Promise<void> {
    const waiting = { batch: this.#batchOf(lines), done: Promise.withResolvers<undefined>() };
    this.#waiting.push(waiting);
    this.#thread ??= this.#start();
    this.#thread.ref();
    this.#thread.postMessage(waiting.batch, [waiting.batch.bytes.buffer]);
    await waiting.done.promise;
  }

  /** Waits for what was begun, then ends the thread. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#waiting.map(({ done }) => done.promise));
    const thread = this.#thread;
    if (thread === undefined) return;
    this.#thread = undefined;
    const ended = new Promise((resolve) => thread.once("exit", resolve));
    thread.ref();
    thread.postMessage("close");
    await ended;
  }

  #start(): Worker {
    // What the process was told to load first (`--import`, NODE_OPTIONS) is not for this thread: it may bind ports, or keep it alive.
    // Compiled, the thread's file has another name.
    const file = new URL(`./line-thread${import.meta.url.slice(import.meta.url.lastIndexOf("."))}`, import.meta.url);
    const thread = new Worker(file, { workerData: this.#data, execArgv: ["--disable-warning=ExperimentalWarning"], env: {} });
    let cause: unknown;
    thread.on("message", (reply: LineReply) => {
      const waiting = this.#waiting.shift();
      this.#memory = reply.memory;
      if (this.#waiting.length === 0) thread.unref();
      if (reply.problem === undefined) waiting?.done.resolve(undefined);
      else waiting?.done.reject(mapSqliteError(Object.assign(new Error(reply.problem), { errcode: reply.errcode })));
    });
    thread.on("error", (error) => {
      cause = error;
    });
    thread.on("exit", () => {
      if (this.#thread === thread) this.#thread = undefined;
      const failure = new KeysteadError("STORE_FAILED", "the thread that writes audit records ended; it is started again", { cause });
      for (const { done } of this.#waiting.splice(0)) done.reject(failure);
    });
    return thread;
  }

  #batchOf({ writer, first, pieces }: LineBlock): LineBatch {
    const bytes = this.#take(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return { writer, first, bytes };
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const memory = this.#memory;
    this.#memory = undefined;
    const isEnough = memory !== undefined && memory.byteLength >= length;
    return new Uint8Array(isEnough ? memory : new ArrayBuffer(Math.ceil(length / memoryUnit) * memoryUnit), 0, length);
  }
}
