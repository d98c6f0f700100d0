import { fstatSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { writeWhole } from "../durable-file.ts";
import { KeysteadError } from "../errors.ts";
import type { Clock } from "../index.ts";
import { unreadable, unwritable } from "./file-failures.ts";
import type { Output } from "./output.ts";

/** The most that is held in memory at once; what is larger goes as a stream. */
const largestValue = 64 * 1024 * 1024;

/** Fast, and yet small enough that what was read is collected before much of it piles up. */
const readBytes = 128 * 1024;

/** Where data comes from. */
export interface DataSource {
  readonly name: string;
  /** Bytes, where that is known. */
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Ends the reading, also while it waits for data. */
  readonly stop: () => void;
}

/** Where data goes: a file, `-` for stdout whatever it is, or stdout when absent. */
export interface DataTarget {
  readonly out: string | undefined;
  readonly force: boolean | undefined;
}

/** Opens a file, or stdin for `-` and when no file is named. @throws KeysteadError `INVALID_ARGUMENT` */
export async function openSource(file: string | undefined): Promise<DataSource> {
  if (file === undefined || file === "-") {
    // Node reads a folder as if nothing were in it.
    if (fstatSync(0).isDirectory()) throw isFolder("stdin");
    if (process.stdin.isTTY && process.stderr.isTTY)
      process.stderr.write("reading from the terminal; end with Ctrl-D on a line of its own\n");
    return { name: "stdin", size: undefined, chunks: reading("stdin", process.stdin), stop: () => process.stdin.destroy() };
  }
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw unreadable(file, cause);
  });
  const stats = await handle.stat();
  if (stats.isDirectory()) {
    await handle.close();
    throw isFolder(file);
  }
  const stream = handle.createReadStream({ highWaterMark: readBytes });
  return { name: file, size: stats.isFile() ? stats.size : undefined, chunks: reading(file, stream), stop: () => stream.destroy() };
}

/**
 * Everything that a source has, up to 64 MiB.
 * @param remedy what to do about more
 * @throws KeysteadError `INVALID_ARGUMENT` when it is too much for memory
 */
export async function readWhole({ name, chunks }: DataSource, remedy = "split it"): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > largestValue) {
      throw new KeysteadError("INVALID_ARGUMENT", `${name} has more than ${largestValue / 2 ** 20} MiB; ${remedy}`);
    }
  }
  return Buffer.concat(parts, length);
}

/** Says of one line with the line break that `echo` leaves at its end what becomes of that. @param fate ends "the line break at the end …" */
export function noteLineEnd(data: Buffer, fate: string, output: Output): void {
  if (data.length > 0 && data.indexOf(0x0a) === data.length - 1)
    output.note(`the line break at the end ${fate}; printf leaves it out, --lines takes lines without it`);
}

/** The lines of a source, without their LF or CRLF. The last one may end without. */
export async function* readLines({ name, chunks }: DataSource): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    let begin = 0;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a, begin)) {
      yield withoutReturn(rest.subarray(begin, end));
      begin = end + 1;
    }
    rest = rest.subarray(begin);
    if (rest.length > largestValue)
      throw new KeysteadError("INVALID_ARGUMENT", `${name} has a line of more than ${largestValue / 2 ** 20} MiB`);
  }
  if (rest.length > 0) yield withoutReturn(rest);
}

/** A source again, after its first bytes were looked at. */
export async function peek(source: DataSource, length: number): Promise<{ readonly head: Buffer; readonly source: DataSource }> {
  const iterator = source.chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < length) {
    const next = await iterator.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const rest = { [Symbol.asyncIterator]: () => iterator };
  return { head: head.subarray(0, length), source: { ...source, chunks: joined(head, rest) } };
}

/**
 * Refuses what would go wrong at the end: a file that is there, binary data on a terminal.
 * @throws KeysteadError `CONFLICT`, `INVALID_ARGUMENT`
 */
export async function assertWritable({ out, force }: DataTarget, content: "text" | "binary"): Promise<void> {
  if (out !== undefined && out !== "-") {
    const found = await stat(out).catch(() => undefined);
    if (found?.isDirectory() === true) throw isFolder(out);
    if (found !== undefined && force !== true) throw new KeysteadError("CONFLICT", alreadyThere(out));
    const folder = await stat(dirname(out)).catch((cause: unknown) => {
      throw unwritable(out, cause);
    });
    if (!folder.isDirectory()) throw unwritable(out);
  } else if (content === "binary" && out === undefined && process.stdout.isTTY) {
    throw new KeysteadError("INVALID_ARGUMENT", "binary data is not written to a terminal; give --out FILE, or --out - to force it");
  }
}

function alreadyThere(file: string): string {
  return `${file} exists already and is left as it is; give --force to replace it`;
}

/**
 * Writes data to its target. A file appears whole, readable by its owner only, or not at all. Returns its bytes.
 * @throws KeysteadError what the chunks throw; `CONFLICT`, `INVALID_ARGUMENT`, `STORE_FULL` when it can't be written
 */
export async function writeData(
  { out, force }: DataTarget,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  output: Output,
): Promise<number> {
  if (out !== undefined && out !== "-") {
    const temporary = `${out}.${process.pid}.part`;
    return writeWhole(out, chunks, {
      temporary,
      ...(force !== true && { taken: alreadyThere(out) }),
      busy: `${temporary} is there, left by another command; remove it`,
      failed: (cause) => unwritable(out, cause),
    });
  }
  let bytes = 0;
  for await (const chunk of chunks) {
    await output.data(chunk);
    bytes += Buffer.byteLength(chunk);
  }
  return bytes;
}

/**
 * Passes chunks on, shows how far it is, and stops when told to.
 * @throws KeysteadError `CANCELLED`
 */
export async function* watched(
  { name, size, chunks, stop }: DataSource,
  verb: string,
  { output, clock, signal }: { readonly output: Output; readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const progress = output.progress({ title: `${verb} ${name}`, unit: "bytes" }, clock);
  signal.addEventListener("abort", stop, { once: true });
  let done = 0;
  try {
    for await (const chunk of chunks) {
      if (signal.aborted) break;
      yield chunk;
      done += chunk.length;
      progress.update(done, size);
    }
  } catch (error) {
    // A reading that was stopped ends in an error of its own.
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    progress.end();
  }
  if (signal.aborted) throw new KeysteadError("CANCELLED", "stopped; nothing was written");
}

function isFolder(name: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `${name} is a folder; name a file`);
}

async function* reading(name: string, stream: NodeJS.ReadableStream): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) if (chunk instanceof Uint8Array) yield chunk;
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

async function* joined(head: Buffer, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  yield* rest;
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
}
