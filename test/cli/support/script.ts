import { expect } from "vitest";

/** One line of a script, with what belongs to it. */
export interface ScriptLine {
  readonly number: number;
  /** The verb and its words; quotes are gone, `${NAME}` is not yet replaced. */
  readonly words: readonly string[];
  /** True when the line began with `!`. */
  readonly negated: boolean;
  /** Lines between `<<END` and `END`. */
  readonly text: string | undefined;
  readonly source: string;
}

/**
 * Reads a script of commands:
 *
 *   # a comment
 *   keystead ARGS… [< FILE] [> FILE] [<<END]    runs it; it must end with exit code 0
 *   exit CODE keystead ARGS…                    … with that exit code
 *   interrupt PATTERN CODE keystead ARGS…       … sends SIGINT as soon as its stderr matches
 *   stdout PATTERN, stderr PATTERN              what the last command wrote matches the regular expression; after `!` it doesn't
 *   let NAME PATTERN                            what the first group matches in the last stdout becomes ${NAME}
 *   env NAME VALUE                              environment of the following commands; without a value: none
 *   file NAME <<END                             writes a file; the lines up to END are its content
 *   bytes NAME TEXT                             writes a file; \r and \n in TEXT are CR and LF
 *   cut FILE BYTES NEW, remove FILE             writes the first bytes of a file to another one; removes a file
 *   sql FILE STATEMENT                          runs SQL on a database file; what it selects becomes stdout, one row a line
 *   chmod MODE FILE, mode MODE FILE             sets or checks permissions
 *   same FILE FILE, exists FILE                 compares files; after `!` it is not there
 */
export function parseScript(text: string): ScriptLine[] {
  const lines = text.split("\n");
  const parsed: ScriptLine[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const source = (lines[at] ?? "").trim();
    if (source === "" || source.startsWith("#")) continue;
    const number = at + 1;
    const [, command = source, mark] = /^(.*?)\s*<<(\w+)$/.exec(source) ?? [];
    const content: string[] = [];
    if (mark !== undefined) {
      for (at += 1; at < lines.length && lines[at] !== mark; at += 1) content.push(`${lines[at] ?? ""}\n`);
      expect(lines[at], `line ${number}: ${mark} is missing`).toBe(mark);
    }
    const words = splitWords(command);
    const negated = words[0] === "!";
    parsed.push({
      number,
      words: negated ? words.slice(1) : words,
      negated,
      text: mark === undefined ? undefined : content.join(""),
      source,
    });
  }
  return parsed;
}

/** Words, separated by spaces outside quotes. */
function splitWords(text: string): string[] {
  return [...text.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2"));
}
