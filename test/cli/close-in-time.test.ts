import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startChild } from "../support/child.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const program = new URL("support/ending-process.ts", import.meta.url);

it.each([
  { what: "the journal hangs", where: "journal", says: "the disk of the audit journal did not take its records in time" },
  { what: "nothing says why", where: undefined, says: "the store did not answer in time" },
])("a process ends though a thread of it waits for a disk, when $what", async ({ where, says }) => {
  const pipe = join(temporaryFolder(), "pipe");
  execFileSync("mkfifo", [pipe]);
  const child = startChild(program, [pipe, ...(where === undefined ? [] : [where])]);
  let errors = "";
  child.process.stderr?.on("data", (text: string) => (errors += text));
  expect(await once(child.process, "close")).toEqual([null, "SIGKILL"]);
  expect(errors).toContain(says);
  expect(errors).not.toContain("the audit sink");
});
