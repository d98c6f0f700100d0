import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import type { RouteLine } from "../api/route.ts";
import { systemClock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";
import { checkFields } from "../field-problem.ts";
import { parseJson } from "./json-body.ts";
import { assertContentType, mediaTypes } from "./media-types.ts";
import { brokenBody } from "./read-body.ts";
import type { ServerLimits } from "./settings.ts";

const lineEnd = 0x0a;

/**
 * The lines of a body, each checked, in bounded memory; empty ones are left out. The client sends no faster than they are taken.
 * @throws KeysteadError from the iteration: `UNSUPPORTED_MEDIA_TYPE`, `TOO_LARGE` for a line, `REQUEST_TIMEOUT`, `CANCELLED`
 */
export function readLines<T>(request: IncomingMessage, schema: z.ZodType<T>, limits: ServerLimits): AsyncIterable<RouteLine<T>> {
  assertContentType(request.headers["content-type"], request.headers["content-encoding"], mediaTypes.ndjson);
  return checkedLines(request, schema, limits);
}

async function* checkedLines<T>(request: IncomingMessage, schema: z.ZodType<T>, limits: ServerLimits): AsyncGenerator<RouteLine<T>> {
  let number = 0;
  for await (const line of rawLines(request, limits)) {
    number++;
    if (line.length > 0) yield checkLine(line, `line ${number}`, schema, limits);
  }
}

function checkLine<T>(line: Buffer, what: string, schema: z.ZodType<T>, limits: ServerLimits): RouteLine<T> {
  try {
    const found = checkFields(what, schema, parseJson(line, limits, what));
    if (found.problem === undefined) return { value: found.data, length: line.length };
    // A problem of the line as a whole names it already.
    const problem = found.problem.startsWith(`${what}: `) ? found.problem : `${what}: ${found.problem}`;
    return { problem: new KeysteadError("INVALID_ARGUMENT", problem), length: line.length };
  } catch (error) {
    if (error instanceof KeysteadError) return { problem: error, length: line.length };
    throw error;
  }
}

/** Bytes between line ends, without those. */
async function* rawLines(request: IncomingMessage, { lineBytes, bodyMilliseconds }: ServerLimits): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of timedChunks(request, bodyMilliseconds, () => length > 0)) {
    let start = 0;
    for (let end = chunk.indexOf(lineEnd); end !== -1; end = chunk.indexOf(lineEnd, start)) {
      if (length + end - start > lineBytes) throw tooLong(lineBytes);
      yield withoutReturn(length === 0 ? chunk.subarray(start, end) : Buffer.concat([...rest, chunk.subarray(start, end)]));
      rest = [];
      length = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      rest.push(chunk.subarray(start));
      length += chunk.length - start;
    }
    if (length > lineBytes) throw tooLong(lineBytes);
  }
  if (length > 0) yield withoutReturn(Buffer.concat(rest));
}

/** Chunks as they come. The next line has so long to begin, and one that has begun so long to arrive; what a slow taker waits does not count. */
async function* timedChunks(request: IncomingMessage, milliseconds: number, isWithinLine: () => boolean): AsyncGenerator<Buffer> {
  // Ending the iteration early must not end the connection, which has yet to be answered on.
  const chunks: AsyncIterator<Buffer> = request.iterator({ destroyOnReturn: false });
  let left = milliseconds;
  for (;;) {
    if (!isWithinLine()) left = milliseconds;
    const started = systemClock.monotonic();
    const next = await nextWithin(chunks, left);
    left -= systemClock.monotonic() - started;
    if (next.done === true) return;
    yield next.value;
  }
}

function nextWithin(chunks: AsyncIterator<Buffer>, milliseconds: number): Promise<IteratorResult<Buffer, unknown>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new KeysteadError("REQUEST_TIMEOUT", "the next line did not arrive in time; send it, or end the stream"));
    }, milliseconds);
    chunks.next().then(
      (next) => {
        clearTimeout(timer);
        resolve(next);
      },
      (cause: unknown) => {
        clearTimeout(timer);
        reject(brokenBody(cause));
      },
    );
  });
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
}

function tooLong(lineBytes: number): KeysteadError {
  return new KeysteadError("TOO_LARGE", `a line is longer than ${lineBytes} bytes; send shorter ones`);
}
