import { maxExportLine } from "./lines.ts";

const newline = 0x0a;

/** A line without its line feed. */
export interface SplitLine {
  readonly bytes: Buffer;
  /** False for a last line without a line feed. */
  readonly ended: boolean;
}

/** Splits bytes into lines, exactly. A line above the limit comes in pieces, none of which means anything. */
export async function* splitLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<SplitLine> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of source) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
      yield { bytes: Buffer.concat([...parts, bytes.subarray(start, end)]), ended: true };
      parts = [];
      length = 0;
      start = end + 1;
    }
    parts.push(Buffer.from(bytes.subarray(start)));
    length += bytes.length - start;
    if (length > maxExportLine) {
      yield { bytes: Buffer.concat(parts), ended: false };
      parts = [];
      length = 0;
    }
  }
  if (length > 0) yield { bytes: Buffer.concat(parts), ended: false };
}
