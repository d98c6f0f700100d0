import { createCipheriv, createSecretKey, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { compare } from "../harness.ts";
import { withKeystead } from "../engine.ts";

const mebibyte = 2 ** 20;

/** A file of `KEYSTEAD_BENCH_FILE_MIB` (2048) MiB through `encryptStream` against a bare cipher stream; growth of resident memory. */
export async function stream(): Promise<void> {
  const size = Number(process.env["KEYSTEAD_BENCH_FILE_MIB"] ?? "2048") * mebibyte;
  await withKeystead({}, async (keystead, folder) => {
    await keystead.keys.create({ name: "files", purpose: "backup" });
    const input = join(folder, "input");
    writeFile(input, size);
    const output = join(folder, "output");
    const sealed = join(folder, "sealed");
    // Each reads as it is at its best; the command line reads files as `read` does.
    const readBare = (path: string) => createReadStream(path, { highWaterMark: mebibyte });
    const read = (path: string) => createReadStream(path, { highWaterMark: mebibyte / 8 });
    let growth = 0;
    const watched = async (work: () => Promise<void>): Promise<void> => {
      const before = process.memoryUsage.rss();
      const timer = setInterval(() => {
        growth = Math.max(growth, process.memoryUsage.rss() - before);
      }, 20);
      await work().finally(() => {
        clearInterval(timer);
      });
    };
    await compare(
      `a file of ${String(size / mebibyte)} MiB, per byte`,
      [
        {
          name: "bare cipher stream",
          units: size,
          run: () =>
            pipeline(
              readBare(input),
              createCipheriv("aes-256-gcm", createSecretKey(randomBytes(32)), randomBytes(12)),
              createWriteStream(output),
            ),
        },
        {
          name: "encryptStream",
          units: size,
          run: () => watched(() => pipeline(Readable.from(keystead.encryptStream("files", read(input))), createWriteStream(sealed))),
        },
        {
          name: "decryptStream",
          units: size,
          run: () => watched(() => pipeline(Readable.from(keystead.decryptStream(read(sealed))), createWriteStream(output))),
        },
      ],
      {
        rounds: 3,
        goals: [
          { contender: "encryptStream", to: "bare cipher stream", atMost: 2 },
          { contender: "decryptStream", to: "bare cipher stream", atMost: 2 },
        ],
      },
    );
    process.stdout.write(`  resident memory grew by ${(growth / mebibyte).toFixed(1)} MiB at most; the goal is 64\n`);
    for (const path of [input, output, sealed]) rmSync(path, { force: true });
  });
}

function writeFile(path: string, size: number): void {
  const file = openSync(path, "w");
  const block = randomBytes(mebibyte);
  for (let written = 0; written < size; written += block.length) writeSync(file, block);
}
