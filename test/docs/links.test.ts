import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { listFiles, readManifest, root } from "../../scripts/tools.ts";

/** What npm packs of itself, and what package.json adds. */
const shipped = ["package.json", "README.md", "LICENSE", ...readManifest(root).files].map((file) => join(root, file));
const pages = [
  ...shipped.filter((file) => file.endsWith(".md")),
  ...listFiles(join(root, "docs")).filter((file) => file.endsWith(".md")),
].map((file) => relative(root, file));

/** Anchors of the headings of a page, as GitHub and npm make them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("links of the package's pages", () => {
  it.each(pages)("%s leads to what the package has", (page) => {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? join(root, page) : resolve(root, dirname(page), path);
      expect(existsSync(file), `${page}: ${target}`).toBe(true);
      expect(
        shipped.some((part) => file === part || file.startsWith(`${part}/`)),
        `${page}: ${target} is not in the package`,
      ).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(readFileSync(file, "utf8")), `${page}: ${target}`).toContain(anchor);
    }
  });
});
