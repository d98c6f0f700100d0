import type { Writable } from "node:stream";

const newline = 0x0a;

/**
 * Writes what a stream has to another one that others write to, too: whole lines together, and no more is read before they are written. When
 * they can't be, the stream is destroyed, so that whoever writes to it learns of it. What is left of a torn last line stands in a line of its own.
 * @throws what either stream fails with
 */
export async function passLinesOn(from: AsyncIterable<Buffer>, to: Writable): Promise<void> {
  let begun: Buffer[] = [];
  for await (const chunk of from) {
    const end = chunk.lastIndexOf(newline) + 1;
    if (end > 0) {
      await write(to, Buffer.concat([...begun, chunk.subarray(0, end)]));
      begun = [];
    }
    if (end < chunk.length) begun.push(chunk.subarray(end));
  }
  if (begun.length > 0) await write(to, Buffer.concat([...begun, Buffer.of(newline)]));
}

function write(to: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(bytes, (error) => {
      if (error instanceof Error) reject(error);
      else resolve();
    });
  });
}
