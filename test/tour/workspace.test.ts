import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DataFolder } from "../../src/cli/data-folder.ts";
import { Workspace } from "../../src/cli/tour/workspace.ts";
import { temporaryFolder } from "./support/temporary.ts";

describe("the workspace", () => {
  it("is a folder of its own that only its owner reads, gone when removed", async () => {
    const before = process.listenerCount("exit");
    const workspace = await Workspace.open(undefined);
    expect(statSync(workspace.path).mode & 0o777).toBe(0o700);
    expect(process.listenerCount("exit")).toBe(before + 1);
    writeFileSync(workspace.databasePath, "data");
    await workspace.remove();
    expect(existsSync(workspace.path)).toBe(false);
    expect(process.listenerCount("exit")).toBe(before);
    expect(process.listenerCount("SIGHUP")).toBe(0);
  });

  it("becomes a data folder when it is kept", async () => {
    const path = join(temporaryFolder(), "new", "demo");
    const workspace = await Workspace.open(path);
    await workspace.keep();
    const { configuration } = await DataFolder.open(path);
    expect(configuration).toEqual({
      store: "sqlite:./keystead.db",
      masterKeys: { main: { file: "./master.key" } },
      databases: { sample: "sqlite:./sample.db" },
      codecs: {},
    });
    expect(readFileSync(join(path, "keystead.json"), "utf8")).toContain("sample.db");
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it("takes an empty folder, and leaves it empty", async () => {
    const path = temporaryFolder();
    const workspace = await Workspace.open(path);
    writeFileSync(workspace.masterKeyFile, "key");
    mkdirSync(join(path, "audit"));
    await workspace.remove();
    expect(readdirSync(path)).toEqual([]);
  });

  it("removes the folders that it made, and no others", async () => {
    const outer = temporaryFolder();
    const workspace = await Workspace.open(join(outer, "a", "b"));
    await workspace.remove();
    expect(readdirSync(outer)).toEqual([]);
  });

  it("leaves a folder alone that holds anything", async () => {
    const path = temporaryFolder();
    writeFileSync(join(path, "mine"), "");
    await expect(Workspace.open(path)).rejects.toThrow("is not empty");
    expect(readdirSync(path)).toEqual(["mine"]);
  });

  it("refuses a folder that others may write to, and a file", async () => {
    const path = temporaryFolder();
    chmodSync(path, 0o777);
    await expect(Workspace.open(path)).rejects.toMatchObject({ code: "INSECURE_FILE" });
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    await expect(Workspace.open(file)).rejects.toMatchObject({ code: "STORE_FAILED" });
  });
});
