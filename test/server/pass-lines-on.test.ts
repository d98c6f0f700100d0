import { PassThrough, Writable } from "node:stream";
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
