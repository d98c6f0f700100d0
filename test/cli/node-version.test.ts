import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { nodeVersionProblem } from "../../src/cli/node-version.ts";
import { readManifest, root } from "../../scripts/tools.ts";
import { runWatched } from "../setup/watched-child.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

describe("nodeVersionProblem", () => {
  it("asks for what package.json asks for", () => {
    const [, oldest = ""] = /^>=(\d+\.\d+)$/.exec(readManifest(root).engines.node) ?? [];
    expect(nodeVersionProblem(`${oldest}.0`)).toBeUndefined();
    const [major = 0, minor = 0] = oldest.split(".").map(Number);
    expect(nodeVersionProblem(`${major}.${minor - 1}.9`)).toContain(`needs Node ${oldest} or later`);
  });

  it.each(["24.21.0", "25.0.0", "26.1.0", "24.7.0-nightly", process.versions.node])("takes %s", (version) => {
    expect(nodeVersionProblem(version)).toBeUndefined();
  });

  it.each(["18.0.0", "20.20.2", "22.30.0", "24.6.9"])("refuses %s and names the remedy", (version) => {
    expect(nodeVersionProblem(version)).toMatch(/^this is Node [\d.]+ and .* install one/);
  });
});

describe("keystead on an old Node", () => {
  const pretence = `Object.defineProperty(process.versions, "node", { value: "20.20.2" });`;

  function keystead(...args: readonly string[]) {
    return runWatched(process.execPath, ["--import", `data:text/javascript,${encodeURIComponent(pretence)}`, main, ...args]);
  }

  it("says so before it does anything else", () => {
    const message = "this is Node 20.20.2 and Keystead needs Node 24.7 or later; install one (https://nodejs.org) and run it with that";
    expect(keystead("init")).toMatchObject({ status: 2, stdout: "", stderr: `keystead: ${message}\n` });
    const { status, stderr } = keystead("keys", "list", "--json");
    expect(status).toBe(2);
    expect(JSON.parse(stderr)).toEqual({ code: "INVALID_ARGUMENT", message, exitCode: 2 });
  });
});
