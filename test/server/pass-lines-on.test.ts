import { spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { expect, it } from "vitest";
import { passLinesOn } from "../../src/server/pass-lines-on.ts";

it("passes whole lines on, however they come, and a torn last one as a line of its own", async () => {
  const [one, two] = [new PassThrough(), new PassThrough()];
  const written: string[] = [];
  const to = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk.toString());
      done();
    },
  });
  const passing = Promise.all([passLinesOn(one, to), passLinesOn(two, to)]);
  one.write("a");
  two.write("1\n2");
  one.write("b");
  two.write("3\n4\n");
  one.end("c\nd");
  two.end();
  await passing;
  expect(written.every((text) => text.endsWith("\n"))).toBe(true);
  const lines = written.join("").trimEnd().split("\n");
  expect(lines.filter((line) => line < "a")).toEqual(["1", "23", "4"]);
  expect(lines.filter((line) => line >= "a")).toEqual(["abc", "d"]);
});

it("closes what it reads when nobody takes the lines, so that who writes them learns of it", async () => {
  const from = new PassThrough();
  const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) }).on("error", () => undefined);
  from.write("a\n");
  await expect(passLinesOn(from, gone)).rejects.toThrow("EPIPE");
  expect(from.destroyed).toBe(true);
});

/** What arrives of pieces, write by write. */
async function passed(...pieces: readonly (Uint8Array | string)[]): Promise<Buffer[]> {
  const written: Buffer[] = [];
  const to = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  await passLinesOn(Readable.from(pieces.map((piece) => Buffer.from(piece))), to);
  return written;
}

it("passes on what came, byte by byte, wherever it was cut: in a character, in a line, before and behind a newline", async () => {
  const text = Buffer.from('{"name":"Ωμέγα 秘密 🗝"}\n\n{"next":"ü"}\nlast é\n');
  for (let cut = 0; cut <= text.length; cut++) {
    const written = await passed(text.subarray(0, cut), text.subarray(cut));
    expect(Buffer.concat(written).equals(text)).toBe(true);
    expect(written.every((bytes) => bytes.at(-1) === 0x0a)).toBe(true);
  }
  const single = await passed(...[...text].map((byte) => Uint8Array.of(byte)));
  expect(single.map(String)).toEqual(['{"name":"Ωμέγα 秘密 🗝"}\n', "\n", '{"next":"ü"}\n', "last é\n"]);
});

it("passes a line of 1 MB on in one piece, whose pieces are those of a pipe, and torn characters as they are", async () => {
  const long = Buffer.from(`${"ü".repeat(500_000)}\n`);
  const pieces = Array.from({ length: Math.ceil(long.length / 65_536) }, (_, at) => long.subarray(at * 65_536, (at + 1) * 65_536));
  // The next line has begun in the last piece: it belongs to the next one.
  const [first, second] = await passed(...pieces.slice(0, -1), Buffer.concat([pieces.at(-1) ?? Buffer.alloc(0), Buffer.from("b")]), "c\n");
  expect(first?.equals(long)).toBe(true);
  expect(second).toEqual(Buffer.from("bc\n"));
  expect(await passed("a\n", Uint8Array.of(0xf0, 0x9f))).toEqual([Buffer.from("a\n"), Buffer.of(0xf0, 0x9f, 0x0a)]);
  expect(await passed()).toEqual([]);
});

it("passes on what a process that is killed had begun to say, before the next one's lines", async () => {
  const script = "process.stdout.write('whole\\nbegun ' + 'x'.repeat(100_000), () => process.kill(process.pid, 'SIGKILL'))";
  const lines: Buffer[] = [];
  const to = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(chunk);
      done();
    },
  });
  for (let worker = 0; worker < 2; worker++) {
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    const exit = once(child, "exit");
    await passLinesOn(child.stdout, to);
    expect(await exit).toEqual([null, "SIGKILL"]);
  }
  const begun = `begun ${"x".repeat(100_000)}`;
  expect(Buffer.concat(lines).toString()).toBe(`whole\n${begun}\n`.repeat(2));
});
