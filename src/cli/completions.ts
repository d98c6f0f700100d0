import type { Command, Option } from "commander";

/** What a word may become. */
export interface Completion {
  readonly value: string;
  readonly description: string;
}

/**
 * What the last of `words` may become; empty where only the person knows: names, files, values.
 * @param program the root of the commands
 * @param words the command line after the program's name, up to the word at the cursor, which may be empty
 */
export function completionsOf(program: Command, words: readonly string[]): Completion[] {
  const current = words.at(-1) ?? "";
  let command = program;
  let awaited: Option | undefined;
  let position = 0;
  for (const word of words.slice(0, -1)) {
    if (awaited !== undefined) {
      awaited = undefined;
    } else if (word.startsWith("-")) {
      awaited = optionsOf(command).find(
        (option) => (option.long === word || option.short === word) && (option.required || option.optional),
      );
    } else {
      const next = command.commands.find((candidate) => candidate.name() === word);
      if (next === undefined && word === "help" && position === 0) return helped(command, words.slice(words.indexOf(word) + 1));
      if (next === undefined) position += 1;
      else command = next;
    }
  }
  return candidates(command, { current, awaited, position })
    .filter(({ value }) => value.startsWith(current))
    .map(({ value, description }) => ({ value, description: description.replaceAll(/\s+/g, " ") }));
}

/** What `help` takes: one command. */
function helped(command: Command, words: readonly string[]): Completion[] {
  const [current = "", ...more] = words;
  if (more.length > 0) return [];
  const commands = command.createHelp().visibleCommands(command);
  return commands
    .filter((candidate) => candidate.name() !== "help" && candidate.name().startsWith(current))
    .map((candidate) => ({ value: candidate.name(), description: candidate.description().replaceAll(/\s+/g, " ") }));
}

function candidates(
  command: Command,
  { current, awaited, position }: { readonly current: string; readonly awaited: Option | undefined; readonly position: number },
): Completion[] {
  if (awaited !== undefined) return choices(awaited.argChoices);
  if (current.startsWith("-")) {
    return optionsOf(command).flatMap(({ long, description }) => (typeof long === "string" ? [{ value: long, description }] : []));
  }
  const commands = position > 0 ? [] : command.createHelp().visibleCommands(command);
  return [
    ...commands.map((candidate) => ({ value: candidate.name(), description: candidate.description() })),
    ...choices(command.registeredArguments[position]?.argChoices),
  ];
}

/** The options that may stand behind a command: its own and those of the commands above it. */
function optionsOf(command: Command): Option[] {
  const help = command.createHelp();
  return [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
}

function choices(values: readonly string[] = []): Completion[] {
  return values.map((value) => ({ value, description: "" }));
}
