import { KeysteadError } from "../errors.ts";

const full: readonly unknown[] = ["ENOSPC", "EDQUOT"];

/** The error for a file of the command line that can't be read. The failure adds what the system says. */
export function unreadable(name: string, cause?: unknown): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `${name} can't be read; check the path`, { cause });
}

/** The error for a file of the command line, or stdout, that can't be written. The failure adds what the system says. */
export function unwritable(name: string, cause?: unknown): KeysteadError {
  return full.includes(systemCode(cause))
    ? new KeysteadError("STORE_FULL", `${name} can't be written whole: the disk is full; free space and run it again`, { cause })
    : new KeysteadError("INVALID_ARGUMENT", `${name} can't be written; make its folder, or name another place`, { cause });
}

/** The code of an error of the operating system: `ENOENT`. */
function systemCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
