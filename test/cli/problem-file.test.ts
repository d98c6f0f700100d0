import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ProblemFile } from "../../src/cli/problem-file.ts";
import type { RowProblem } from "../../src/index.ts";

const damaged: RowProblem = { row: { id: "1" }, column: "email", code: "DECRYPTION_FAILED", message: "does not open" };

describe("a file of problems", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "keystead-problems-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("has each row, column and code once, however often a pass finds them", async () => {
    const path = join(folder, "once.jsonl");
    const file = await ProblemFile.create(path);
    const others: RowProblem[] = [
      { ...damaged, row: { id: "2" } },
      { ...damaged, row: { tenant: "1" } },
      { ...damaged, column: "phone" },
      { ...damaged, code: "KEY_STATE" },
    ];
    file.write([damaged, ...others]);
    file.write([{ ...damaged, message: "said otherwise" }, ...others, damaged]);
    await file.close();
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([damaged, ...others]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("is none when there is nothing to write, and never one that is there", async () => {
    const path = join(folder, "none.jsonl");
    const file = await ProblemFile.create(path);
    await expect(ProblemFile.create(path)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    file.write([]);
    await file.close();
    expect(existsSync(path)).toBe(false);
    await expect(ProblemFile.create(join(folder, "missing", "none.jsonl"))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
