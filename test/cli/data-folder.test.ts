import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { absoluteUrl, configuredUrl, parseConfiguration } from "../../src/cli/configuration.ts";
import { DataFolder } from "../../src/cli/data-folder.ts";

const configuration = { store: "sqlite:keystead.db", masterKeys: { main: { file: "master.key" } }, databases: {}, codecs: {} };
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "keystead-folder-"));
  folders.push(folder);
  return folder;
}

describe("the configuration", () => {
  it.each([
    ['{"store":"memory:"}', "masterKeys: is missing; give an object"],
    ["{", "is not JSON (line 1 column 2)"],
    ["[]", "keystead.json: the file: must be an object (see `keystead init --help`)"],
    ['{"store":"memory:","masterKeys":{}}', "names no master key"],
    ['{"store":"memory:","masterKeys":{"main":{"fiel":"x"}}}', 'masterKeys.main: must be { "file": PATH } or { "passphrase": "ask" }'],
    ['{"store":"memory:","masterKeys":{"main":{"file":"x"}},"datbases":{}}', 'has no field "datbases"; correct or remove it'],
  ])("refuses %s", (text, problem) => {
    expect(() => parseConfiguration(text, "keystead.json")).toThrow(problem);
  });

  it("keeps files of its folder relative, and others absolute", () => {
    expect(configuredUrl("sqlite:/data/ks/crm.db", "/data/ks")).toBe("sqlite:crm.db");
    expect(configuredUrl("sqlite:/data/crm.db", "/data/ks")).toBe("sqlite:/data/crm.db");
    expect(configuredUrl("sqlite:/data/ks/..crm.db", "/data/ks")).toBe("sqlite:..crm.db");
    expect(absoluteUrl("sqlite:crm.db", "/data/ks")).toBe("sqlite:/data/ks/crm.db");
    expect(absoluteUrl("memory:", "/data/ks")).toBe("memory:");
  });

  it("is changed whole, by one command at a time", async () => {
    const path = makeFolder();
    await DataFolder.unsaved(path, configuration).create();
    const folder = await DataFolder.open(path);
    const other = await DataFolder.open(path);
    await other.change((before) => ({ ...before, databases: { a: "sqlite:a.db" } }));
    await folder.change((before) => ({ ...before, databases: { ...before.databases, b: "sqlite:b.db" } }));
    expect(folder.configuration.databases).toEqual({ a: "sqlite:a.db", b: "sqlite:b.db" });
    await folder.change((before) => {
      // Others must not change in between what this change is made of.
      expect(existsSync(join(path, "keystead.json.new"))).toBe(true);
      return before;
    });

    writeFileSync(join(path, "keystead.json.new"), "");
    await expect(folder.change((before) => before)).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(DataFolder.unsaved(path, configuration).create()).rejects.toMatchObject({ code: "CONFLICT" });
    expect(readFileSync(join(path, "keystead.json"), "utf8")).toContain("sqlite:b.db");
  });

  it.skipIf(process.platform === "win32")("is refused when others may write it", async () => {
    const path = makeFolder();
    await DataFolder.unsaved(path, configuration).create();
    chmodSync(join(path, "keystead.json"), 0o660);
    await expect(DataFolder.open(path)).rejects.toMatchObject({ code: "INSECURE_FILE" });
  });
});
