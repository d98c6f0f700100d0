import { describe, expect, it } from "vitest";
import { committedFiles, findForbiddenText } from "../../scripts/check-text.ts";
import { temporaryTree } from "./temporary-tree.ts";

// Put together here so that this file itself is clean.
const note = ["TO", "DO"].join("");
const inFolder = (folder: string): string => `/${folder}/project/a.ts`;

describe("check-text", () => {
  it.each([
    [`// ${note}: later`],
    [`see ${inFolder("work")}`],
    [`"${inFolder("tmp")}"`],
    [inFolder("root")],
    [inFolder("home/anna")],
    [`(${inFolder("Users/anna")})`],
  ])("refuses %s", (line) => {
    expect(findForbiddenText("a.ts", `fine\n${line}\n`)).toMatchObject([{ file: "a.ts", line: 2 }]);
  });

  it.each(["the mastodon", "./work/a", "https://host.example/work/items", "src/root/a", "homework/tmp.ts", "`${folder}/work`"])(
    "lets %s pass",
    (line) => {
      expect(findForbiddenText("a.ts", line)).toEqual([]);
    },
  );

  it("without git looks at everything that is not generated", () => {
    const folder = temporaryTree({ "src/a.ts": "", "dist/a.js": "", "node_modules/a/index.js": "" });
    expect(committedFiles(folder)).toEqual(["src/a.ts"]);
  });
});
