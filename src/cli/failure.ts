import { CommanderError } from "commander";
import { type ErrorCode, errorCodes, KeysteadError } from "../errors.ts";

/** What the command line says about an error; with `--json` exactly this object goes to stderr. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly exitCode: number;
  /** Only under KEYSTEAD_DEBUG=1. */
  readonly stack?: string;
}

/** An error with advice that only the command line can give. */
export class HintedError extends Error {
  readonly hint: string;

  constructor(cause: unknown, hint: string) {
    super("an error with a hint", { cause });
    this.hint = hint;
  }
}

/** True when the reader of stdout has gone away. */
export function isClosedPipe(error: unknown): boolean {
  return causesOf(error).some((cause) => textField(cause, "code") === "EPIPE" && textField(cause, "syscall") === "write");
}

/**
 * Turns any error into what a person or a program is told. Errors that are not Keystead's own say no more than "internal
 * error": their text may hold anything.
 */
export function describeFailure(error: unknown, { path, debug }: { readonly path: string; readonly debug: boolean }): Failure {
  const stack = debug ? { stack: stackOf(error) } : {};
  if (error instanceof HintedError) return { ...describeFailure(error.cause, { path, debug }), hint: error.hint };
  if (error instanceof CommanderError) return { ...describeUsage(error, path), ...stack };
  if (error instanceof KeysteadError) {
    const cause = causesOf(error.cause)
      .map(systemCause)
      .find((text) => text !== undefined);
    const { code, message, exitCode } = error;
    return { code, message: cause === undefined || message.includes(cause) ? message : `${message} (${cause})`, exitCode, ...stack };
  }
  const system = causesOf(error)
    .map(systemCause)
    .find((text) => text !== undefined);
  return {
    code: "INTERNAL",
    message: system === undefined ? "internal error" : `internal error: ${system}`,
    ...(!debug && { hint: "run it again with KEYSTEAD_DEBUG=1 in the environment and report what it shows" }),
    exitCode: errorCodes.INTERNAL.exit,
    ...stack,
  };
}

/** The text for stderr. */
export function formatFailure(failure: Failure, json: boolean): string {
  if (json) return `${JSON.stringify(failure)}\n`;
  const lines = [`keystead: ${failure.message}`];
  if (failure.hint !== undefined) lines.push(`hint: ${failure.hint}`);
  if (failure.stack !== undefined) lines.push(failure.stack);
  return `${lines.join("\n")}\n`;
}

function describeUsage(error: CommanderError, path: string): Failure {
  const [, message = error.message, suggestion] = /^(?:error: )?([^]*?)(?:\n\((Did you mean [^]*)\))?$/.exec(error.message.trim()) ?? [];
  return {
    code: "INVALID_ARGUMENT",
    // What is too much may be anything, personal data, too.
    message: error.code === "commander.excessArguments" ? message.replace(/: [^]*$/, "") : message,
    hint: suggestion === undefined ? `see \`${path} --help\`` : suggestion.replace(/^D/, "d"),
    exitCode: errorCodes.INVALID_ARGUMENT.exit,
  };
}

/** What the operating system or SQLite says: names of files and conditions, never content. */
function systemCause(error: unknown): string | undefined {
  if (textField(error, "code") === "ERR_SQLITE_ERROR") return textField(error, "errstr");
  return textField(error, "syscall") !== undefined && error instanceof Error ? error.message : undefined;
}

function causesOf(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (let cause = error; cause instanceof Error && found.length < 10; cause = cause.cause) found.push(cause);
  return found;
}

function textField(error: unknown, name: "code" | "syscall" | "errstr"): string | undefined {
  const value: unknown = typeof error === "object" && error !== null ? Object.entries(error).find(([key]) => key === name)?.[1] : undefined;
  return typeof value === "string" ? value : undefined;
}

function stackOf(error: unknown): string {
  return causesOf(error)
    .map((cause) => (cause instanceof Error ? (cause.stack ?? cause.message) : ""))
    .join("\ncaused by ");
}
