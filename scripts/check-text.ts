import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { listFiles, root } from "./tools.ts";

/** A line that must not be committed. */
export interface TextFinding {
  readonly file: string;
  readonly line: number;
  readonly problem: string;
}

/** What no committed text may hold. Written so that this file doesn't find itself. */
const forbidden: readonly { readonly pattern: RegExp; readonly problem: string }[] = [
  { pattern: /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/, problem: "a note to oneself: do it, or file an issue" },
  { pattern: /(?<![\w.~$}-])\/(?:work|root|tmp|home\/\w+|Users\/\w+)(?:\/|\b)/, problem: "a path of somebody's machine" },
  { pattern: /bash_job[s]/, problem: "a path of somebody's machine" },
];

/** Generated or copied texts, in which such words mean nothing. */
const exempt = [/^package-lock\.json$/, /^test\/vectors\//, /^LICENSE$/];

/** The files that git has or would add; without git, all but what is generated. Paths from the folder, with slashes. */
export function committedFiles(folder: string): string[] {
  const git = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: folder, encoding: "utf8" });
  if (git.status === 0) return git.stdout.split("\0").filter((file) => file !== "" && existsSync(join(folder, file)));
  const generated = /(^|\/)(node_modules|dist|coverage|\.git)\//;
  return listFiles(folder)
    .map((file) => relative(folder, file).split(sep).join("/"))
    .filter((file) => !generated.test(file));
}

/** Finds machine paths and notes to oneself in a text. */
export function findForbiddenText(file: string, text: string): TextFinding[] {
  return text
    .split("\n")
    .flatMap((content, index) =>
      forbidden.filter(({ pattern }) => pattern.test(content)).map(({ problem }) => ({ file, line: index + 1, problem })),
    );
}

if (import.meta.main) {
  const files = committedFiles(root).filter((file) => !exempt.some((pattern) => pattern.test(file)));
  const findings = files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    return text.includes("\0") ? [] : findForbiddenText(file, text);
  });
  for (const { file, line, problem } of findings) process.stdout.write(`${file}:${line} ${problem}\n`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}
