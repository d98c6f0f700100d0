/** A word as a POSIX shell takes it: in quotes when it needs them. */
export function shellWord(word: string): string {
  return /^[\w./~+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** What somebody types to run a command on a data folder; by npm when that is how this one was started, as from a checkout. */
export function typedCommand(folder: string, command: string): string {
  const keystead = process.env["npm_lifecycle_event"] === undefined ? "keystead" : "npm run -s keystead --";
  return `${keystead} --dir ${shellWord(folder)} ${command}`;
}
