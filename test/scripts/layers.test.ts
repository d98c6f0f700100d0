import { describe, expect, it } from "vitest";
import { findLayerViolations } from "../../scripts/layers.ts";
import { temporaryTree } from "./temporary-tree.ts";

function violationsOf(files: Readonly<Record<string, string>>): string[] {
  return findLayerViolations(temporaryTree(files)).map(({ file, line, message }) => `${file}:${line} ${message}`);
}

describe("the direction of imports", () => {
  it("is reported with file and line when broken", () => {
    const text = 'import { a } from "../errors.ts";\n\nimport { KeyService } from "../keys/key-service.ts";\n';
    expect(violationsOf({ "src/crypto/aead.ts": text })).toEqual(["src/crypto/aead.ts:3 crypto must not import keys"]);
  });

  it.each([
    ["a dynamic import", 'const keys = await import("../keys/a.ts");'],
    ["a re-export", 'export { a } from "../keys/a.ts";'],
    ["a star export", 'export * from "../keys/a.ts";'],
    ["an import for its effect", 'import "../keys/a.ts";'],
    ["an import of types", 'import type { A } from "../keys/a.ts";'],
    ["an import type", 'export type A = import("../keys/a.ts").A;'],
    ["an export of types", 'export type { A } from "../keys/a.ts";'],
    ["require", 'const a = require("../keys/a.ts");'],
    ["an import assignment", 'import a = require("../keys/a.ts");'],
    ["import.meta.resolve", 'const a = import.meta.resolve("../keys/a.ts");'],
    ["a module URL", 'const a = new Worker(new URL("../keys/a.ts", import.meta.url));'],
    ["an import inside a function", 'export const f = async () => { return { a: await import("../keys/a.ts") }; };'],
  ])("covers %s", (_, text) => {
    expect(violationsOf({ "src/store/a.ts": text })).toEqual(["src/store/a.ts:1 store must not import keys"]);
  });

  it.each([
    ["src/kek/a.ts", "../store/a.ts", "kek must not import store"],
    ["src/access/a.ts", "../audit/a.ts", "access must not import audit"],
    ["src/fields/a.ts", "../datasets/a.ts", "fields must not import datasets"],
    ["src/keys/a.ts", "../datasets/a.ts", "keys must not import datasets"],
    ["src/datasets/a.ts", "../keystead.ts", "datasets must not import keystead"],
    ["src/keystead.ts", "./index.ts", "keystead must not import index"],
    ["src/cli/a.ts", "../keys/a.ts", "cli must not import keys"],
    ["src/client/a.ts", "../keys/a.ts", "client must not import keys"],
    ["src/keystead.ts", "./testing/index.ts", "keystead must not import testing"],
    ["src/kek/vault/a.ts", "../local/a.ts", "kek/vault must not import kek/local"],
    ["src/store/sqlite/a.ts", "../memory/a.ts", "store/sqlite must not import store/memory"],
    ["src/datasets/postgres/a.ts", "../sqlite/a.ts", "datasets/postgres must not import datasets/sqlite"],
    ["src/datasets/codecs/openspp/a.ts", "../plain-aead/a.ts", "datasets/codecs/openspp must not import datasets/codecs/plain-aead"],
    ["src/datasets/codecs/a.ts", "../sqlite/a.ts", "datasets/codecs must not import datasets/sqlite"],
    ["src/keys/a.ts", "../../test/a.ts", "src must not import test/a.ts"],
  ])("keeps %s from %s", (file, specifier, message) => {
    expect(violationsOf({ [file]: `import { a } from "${specifier}";` })).toEqual([`${file}:1 ${message}`]);
  });

  it.each([
    ["src/keys/a.ts", "../kek/kek.ts"],
    ["src/keys/a.ts", "./b.ts"],
    ["src/datasets/a.ts", "../fields/a.ts"],
    ["src/store/sqlite/a.ts", "../sql/a.ts"],
    ["src/store/sqlite/a.ts", "../store.ts"],
    ["src/kek/kek-providers.ts", "./local/a.ts"],
    ["src/datasets/codecs/openspp/a.ts", "../a.ts"],
    ["src/datasets/codecs/a.ts", "./openspp/a.ts"],
    ["src/keystead.ts", "./kek/local/a.ts"],
    ["src/index.ts", "./keystead.ts"],
    ["src/cli/commands/a.ts", "../../index.ts"],
    ["src/testing/a.ts", "../store/store.ts"],
    ["src/keys/a.ts", "node:fs"],
  ])("lets %s import %s", (file, specifier) => {
    expect(violationsOf({ [file]: `import { a } from "${specifier}";` })).toEqual([]);
  });

  it("lets audit import types of access, and nothing else of it", () => {
    const file = "src/audit/a.ts";
    expect(violationsOf({ [file]: 'import type { P } from "../access/principal.ts";' })).toEqual([]);
    expect(violationsOf({ [file]: 'import { type P } from "../access/principal.ts";' })).toEqual([]);
    expect(violationsOf({ [file]: 'export type { P } from "../access/principal.ts";' })).toEqual([]);
    const message = "src/audit/a.ts:1 audit may import only types of access: use import type";
    expect(violationsOf({ [file]: 'import { type P, q } from "../access/principal.ts";' })).toEqual([message]);
    expect(violationsOf({ [file]: 'export * from "../access/principal.ts";' })).toEqual([message]);
  });

  it("keeps pure layers from input and output", () => {
    expect(violationsOf({ "src/crypto/a.ts": 'import { readFileSync } from "node:fs";' })).toEqual([
      "src/crypto/a.ts:1 crypto is pure and must not import node:fs (allowed: node:buffer, node:crypto, node:util)",
    ]);
  });

  it("asks for a row when a folder is no layer", () => {
    expect(violationsOf({ "src/helpers/a.ts": "export {};" })).toEqual([
      "src/helpers/a.ts:1 no layer is called helpers: add a row to scripts/layer-rules.ts",
    ]);
  });

  it("refuses what it can't follow", () => {
    expect(violationsOf({ "src/keys/a.ts": "export const load = (path: string) => import(path);" })).toEqual([
      "src/keys/a.ts:1 the imported path is computed, so its layer can't be checked: import a literal path",
    ]);
  });
});
