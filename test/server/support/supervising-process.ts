import cluster from "node:cluster";
import { symlinkSync, unlinkSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { systemClock } from "../../../src/clock.ts";
import { type Loss, Supervisor } from "../../../src/server/supervise.ts";

/**
 * A program that looks after two workers and tells of each loss on a line of its own. Once they listen it makes the way to Node bad and kills one;
 * when two attempts to replace it have failed it makes it good again, and ends when all workers listen. Arguments: a folder, and how the way
 * is bad: the program is gone, or there is none.
 */
const [folder = "", how = "gone"] = process.argv.slice(2);
const node = process.execPath;

function takeWay(path: string): void {
  Object.defineProperty(process, "execPath", { value: path, configurable: true });
}

if (cluster.isPrimary) {
  const way = join(folder, "node");
  symlinkSync(node, way);
  takeWay(way);
  let failures = 0;
  const onLoss = (loss: Loss): void => {
    process.stdout.write(`${JSON.stringify(loss)}\n`);
    if (loss.problem !== undefined) failures++;
    if (failures === 2) takeWay(node);
  };
  const supervisor = new Supervisor({ workers: 2, clock: systemClock, stdout: process.stdout, onLoss });
  await supervisor.start();
  const replaced = new Promise<void>((resolve) => cluster.on("listening", () => resolve()));
  if (how === "gone") unlinkSync(way);
  else takeWay("");
  Object.values(cluster.workers ?? {})[0]?.process.kill("SIGKILL");
  await replaced;
  await supervisor.end();
} else {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  process.once("SIGTERM", () => process.exit(0));
}
