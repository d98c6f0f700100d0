import { type Argument, type Command, InvalidArgumentError, Option } from "commander";
import { KeysteadError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";

/** Options of every command. */
export interface GlobalOptions {
  readonly dir?: string;
  readonly json?: boolean;
  readonly progress: boolean;
}

/** Options of acts that a person answers for. */
export interface ReasonOptions {
  readonly reason?: string;
}

/** Options of acts that can't be undone. */
export interface YesOptions {
  readonly yes?: boolean;
}

/** The global options that were given anywhere on the command line. */
export function globalOptions(command: Command): GlobalOptions {
  return command.optsWithGlobals<GlobalOptions>();
}

/** `--reason TEXT`, which goes into the audit. */
export function reasonOption(): Option {
  return new Option("--reason <text>", "why, for the audit (never personal data)");
}

/** `--yes`, which answers the question of a destructive command. */
export function yesOption(): Option {
  return new Option("--yes", "do not ask");
}

/** The default of a {@link repeatable} option in words. Help need not say it. */
export const noneGiven = "none";

/** An option that may be given several times. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description} (repeatable)`).argParser<readonly string[]>(append).default([], noneGiven);
}

function append(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** Lets an option or argument take the words of a list only; for another word the error says which was meant, if one is near. */
export function oneOf<T extends Option | Argument>(subject: T, words: readonly string[]): T {
  const repeats = subject instanceof Option && subject.defaultValueDescription === noneGiven;
  subject.choices(words);
  subject.argParser<unknown>((word: string, previous: unknown) => {
    if (!words.includes(word)) throw new InvalidArgumentError(`Allowed choices are ${words.join(", ")}.${didYouMean(word, words)}`);
    return repeats ? append(word, Array.isArray(previous) ? previous.map(String) : []) : word;
  });
  return subject;
}

/** As commander says it of commands and options. */
function didYouMean(word: string, words: readonly string[]): string {
  const near = nearestName([word], words);
  return near === undefined ? "" : `\n(Did you mean ${near}?)`;
}

/** Reads a whole number from `min`, and up to `max` where there is one. */
export function wholeNumber(min: number, max = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min}${max === Number.POSITIVE_INFINITY ? "" : ` to ${max}`}.`);
  };
}

/**
 * Reads `name=value` words.
 * @param what what the pairs are, for messages
 * @throws KeysteadError `INVALID_ARGUMENT` for a word without `=`, for a name that comes twice and for U+FFFD, which is all that Node
 *   leaves of bytes that are not UTF-8; never repeats a value
 */
export function parsePairs(words: readonly string[], what: string): Record<string, string> {
  const pairs = new Map<string, string>();
  for (const [at, word] of words.entries()) {
    if (word.includes("\ufffd")) {
      throw new KeysteadError(
        "INVALID_ARGUMENT",
        `${what} ${at + 1} is not UTF-8, or holds U+FFFD, which stands for such bytes; write it in UTF-8 (\`locale\` shows what the terminal uses)`,
      );
    }
    const equals = word.indexOf("=");
    if (equals < 1) throw new KeysteadError("INVALID_ARGUMENT", `${what} ${at + 1} is not name=value`);
    const name = word.slice(0, equals);
    if (pairs.has(name)) throw new KeysteadError("INVALID_ARGUMENT", `${what} ${JSON.stringify(name)} is given twice`);
    pairs.set(name, word.slice(equals + 1));
  }
  return Object.fromEntries(pairs);
}

/** Examples below a command's help. Each line is a command, or a comment that begins with `#`. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line.startsWith("#") ? line : `$ ${line}`}`).join("\n")}`;
}
