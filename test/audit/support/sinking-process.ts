import { once } from "node:events";
import { extendChain, startChain } from "../../../src/audit/hash-chain.ts";
import { FileSink } from "../../../src/audit/sinks/file-sink.ts";

/**
 * A program that gives a file sink some lines of a chain of its own. It begins when it gets a line on standard input, and each of its
 * lines makes the file too long. Arguments: path of the file, name of the writer, count of lines, how many files to keep (all without).
 */
const [path = "", writer = "", count = "0", keep] = process.argv.slice(2);
const sink = new FileSink({ type: "file", path, maxBytes: 1, ...(keep === undefined ? {} : { keep: Number(keep) }) });
await sink.open();
process.stdout.write("ready\n");
await once(process.stdin, "data");
process.stdin.destroy();
let position = startChain(writer);
for (let number = 1; number <= Number(count); number++) {
  const line = Buffer.from(`{"line":"${writer} ${String(number)}"}`);
  position = extendChain(position, line);
  const bytes = Buffer.concat([line, Buffer.from("\n")]);
  await sink.append(writer, { first: number, last: number, bytes, head: position.head.toString("hex") });
}
await sink.close();
