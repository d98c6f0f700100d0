import { Worker } from "node:worker_threads";
import { KeysteadError } from "../../errors.ts";
import type { NewRecord } from "../tables.ts";
import { tables } from "../tables.ts";
import { layoutOf } from "../sql/table-layout.ts";
import type { LineBatch, LineReply, LineThreadData } from "./line-thread-data.ts";
import { mapSqliteError } from "./sqlite-errors.ts";

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

  constructor(options: LineWriterOptions) {
    const { name, sqlNames } = layoutOf(tables.auditLines);
    this.#data = { ...options, insert: `insert into ${name} (${sqlNames.join(", ")}) values (?, ?, ?, 1)` };
  }

  /**
   * Inserts rows in one transaction.
   * @param rows - of one writer, in a row
   * @throws KeysteadError `NAME_TAKEN` when one of them is there already, and what the database says
   */
  async append(rows: readonly NewRecord<"auditLines">[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const waiting = { batch: batchOf(first.writer, first.sequence, rows), done: Promise.withResolvers<undefined>() };
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
}

function batchOf(writer: string, first: number, rows: readonly NewRecord<"auditLines">[]): LineBatch {
  const lengths = Uint32Array.from(rows, ({ line }) => line.length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [index, { line, sequence, writer: other }] of rows.entries()) {
    if (other !== writer || sequence !== first + index) throw new TypeError("lines of a batch are of one writer and follow each other");
    bytes.set(line, at);
    at += line.length;
  }
  return { writer, first, lengths, bytes };
}
