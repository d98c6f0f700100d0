import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { type LineBatch, type LineReply, readData } from "./line-thread-data.ts";

// The thread of a LineWriter: a connection of its own, which may wait for disks and locks as long as it takes.

const newline = 0x0a;

const { location, settings, timeout, insert } = readData(workerData);
const database = new DatabaseSync(location, { timeout, allowExtension: false });
for (const setting of settings) database.exec(`pragma ${setting}`);
const statement = database.prepare(insert);

function append({ writer, first, bytes }: LineBatch): void {
  database.exec("begin immediate");
  try {
    let sequence = first;
    for (let start = 0, end = 0; start < bytes.length; start = end + 1) {
      end = bytes.indexOf(newline, start);
      if (end === -1) throw new TypeError("a batch of lines has a newline at its end");
      statement.run(writer, sequence, bytes.subarray(start, end));
      sequence++;
    }
    database.exec("commit");
  } catch (error) {
    if (database.isTransaction) database.exec("rollback");
    throw error;
  }
}

function reply(batch: LineBatch): LineReply {
  const memory = batch.bytes.buffer;
  try {
    append(batch);
    return { memory };
  } catch (error) {
    const message = error instanceof Error ? error.message : "the statement failed";
    return { memory, problem: message, ...(error instanceof Error && "errcode" in error && { errcode: Number(error.errcode) }) };
  }
}

parentPort?.on("message", (batch: LineBatch | "close") => {
  if (batch !== "close") {
    parentPort?.postMessage(reply(batch), [batch.bytes.buffer]);
    return;
  }
  database.close();
  process.exit();
});
