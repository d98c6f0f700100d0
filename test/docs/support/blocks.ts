import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { registerMasterKeys } from "../../setup/master-keys.ts";
import { type Ended, runWatched, watchedEnvironment } from "../../setup/watched-child.ts";
import { temporaryFolder } from "../../support/test-keystead.ts";

/** What Node is started with. */
export const flags = ["--disable-warning=ExperimentalWarning"];

/** A code block of a page. */
export interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
  /** The last JSON file that the text above it names. */
  readonly file: string | undefined;
}

/** The code blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(page, "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? "",
    text: match[2] ?? "",
    line: text.slice(0, match.index).split("\n").length,
    file: [...text.slice(0, match.index).matchAll(/`([\w-]+\.json)`/g)].at(-1)?.[1],
  }));
}

/** What differs from run to run: fingerprints, ids, payloads and the spaces that align a table. */
export function masked(text: string): string {
  return text
    .replaceAll(/\b(\d+)-[a-z2-7]{6}\b/g, "$1-······")
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "(id)")
    .replaceAll(/(ks1:[^:\s]+:[^:\s]+:)[A-Za-z0-9_-]+/g, "$1…")
    .replaceAll(/ {2,}/g, "  ")
    .trimEnd();
}

/** Where the commands of a page run. */
export interface Place {
  readonly folder: string;
  /** PATH with the command. */
  readonly path: string;
}

/** A folder, and a path with the command. */
export function prepareFolder(): Place {
  const folder = temporaryFolder();
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const command = join(bin, "keystead");
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" ${flags.join(" ")} "${resolve("src/cli/main.ts")}" "$@"\n`);
  chmodSync(command, 0o755);
  return { folder, path: `${bin}${delimiter}${process.env["PATH"] ?? ""}` };
}

/** A program of a page as it runs here: by the source of the package that it imports. */
export function programOf(text: string): string {
  return text.replaceAll(/from "keystead(?:\/(\w+))?"/g, (_, part: string | undefined) => {
    const file = part === undefined ? "src/index.ts" : `src/${part}/index.ts`;
    return `from "${pathToFileURL(resolve(file)).href}"`;
  });
}

/** Commands with the output that stands below each. */
export function commandsOf(text: string): { readonly command: string; readonly output: string }[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { command: part.slice(0, end), output: part.slice(end + 1) };
    });
}

/** Runs a program in a folder. */
export function run(command: string, args: readonly string[], { folder, path }: Place, env: Readonly<Record<string, string>> = {}): Ended {
  const ended = runWatched(command, args, { cwd: folder, env: watchedEnvironment({ PATH: path, NO_COLOR: "1", ...env }) });
  registerMasterKeys(folder);
  return ended;
}
