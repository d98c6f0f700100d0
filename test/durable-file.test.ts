import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeWhole } from "../src/durable-file.ts";
import { temporaryFolder } from "./support/test-keystead.ts";

describe("writeWhole", () => {
  const options = { busy: "busy", taken: "taken" };

  it("leaves nothing behind when its source fails", async () => {
    const file = join(temporaryFolder(), "out");
    const failing = async function* (): AsyncGenerator<string> {
      yield "begin";
      throw new Error("cut");
    };
    await expect(writeWhole(file, failing(), { ...options, temporary: `${file}.part` })).rejects.toThrow("cut");
    expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false]);
  });

  it("replaces a file unless told what to say, and is its owner's alone", async () => {
    const file = join(temporaryFolder(), "out");
    writeFileSync(file, "old", { mode: 0o644 });
    const temporary = `${file}.part`;
    await expect(writeWhole(file, ["new"], { ...options, temporary })).rejects.toMatchObject({ code: "CONFLICT", message: "taken" });
    expect(await writeWhole(file, ["new", Buffer.from("er")], { busy: "busy", temporary })).toBe(5);
    expect([readFileSync(file, "utf8"), existsSync(temporary)]).toEqual(["newer", false]);
    if (process.platform !== "win32") expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("never replaces a file that came meanwhile", async () => {
    const file = join(temporaryFolder(), "out");
    const slow = async function* (): AsyncGenerator<string> {
      writeFileSync(file, "theirs");
      yield "ours";
    };
    await expect(writeWhole(file, slow(), { ...options, temporary: `${file}.part` })).rejects.toMatchObject({ code: "CONFLICT" });
    expect([readFileSync(file, "utf8"), existsSync(`${file}.part`)]).toEqual(["theirs", false]);
  });
});
