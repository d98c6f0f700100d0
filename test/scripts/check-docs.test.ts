import { describe, expect, it } from "vitest";
import { findUndocumented, publicSources } from "../../scripts/check-docs.ts";
import { temporaryTree } from "./temporary-tree.ts";

describe("check-docs", () => {
  it("finds public exports without a comment, wherever they are declared", () => {
    const folder = temporaryTree({
      "tsconfig.json":
        '{ "compilerOptions": { "module": "nodenext", "target": "es2024", "types": [], "allowImportingTsExtensions": true, "noEmit": true } }',
      "package.json": '{ "type": "module" }',
      "src/index.ts": 'export { good, bad as renamed } from "./a.ts";\nexport type { Shape } from "./a.ts";\nexport const own = 1;\n',
      "src/a.ts":
        "/** Good. */\nexport const good = 1;\nexport const bad = 2;\n\n/** Shape. */\nexport interface Shape { a: 1 }\nexport const inner = 3;\n",
    });
    expect(findUndocumented(folder, ["src/index.ts"])).toEqual([
      { name: "renamed", place: "src/a.ts:3" },
      { name: "own", place: "src/index.ts:3" },
    ]);
  });

  it("knows the source of each entry of the exports map", () => {
    const exports = { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" }, "./package.json": "./package.json" };
    expect(publicSources(exports)).toEqual(["src/index.ts"]);
  });
});
