import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { type LineBatch, type LineReply, readData } from "./line-thread-data.ts";

// The thread of a LineWriter: a connection of its own, which may wait for disks and locks as long as it takes.

const { location, settings, timeout, insert } = readData(workerData);
const database = new DatabaseSync(location, { timeout, allowExtension: false });
for (const setting of settings) database.exec(`pragma ${setting}`);
const statement = database.prepare(insert);

function append({ writer, first, lengths, bytes }: LineBatch): void {
  database.exec("begin immediate");
  try {
    let at = 0;
    for (const [index, length] of lengths.entries()) {
      statement.run(writer, first + index, bytes.subarray(at, at + length));
      at += length;
    }
    database.exec("commit");
  } catch (error) {
    if (database.isTransaction) database.exec("rollback");
    throw error;
  }
}

function reply(batch: LineBatch): LineReply {
  try {
    append(batch);
    return {};
  } catch (error) {
    const message = error instanceof Error ? error.message : "the statement failed";
    return { problem: message, ...(error instanceof Error && "errcode" in error && { errcode: Number(error.errcode) }) };
  }
}

parentPort?.on("message", (batch: LineBatch | "close") => {
  if (batch !== "close") {
    parentPort?.postMessage(reply(batch));
    return;
  }
  database.close();
  process.exit();
});
