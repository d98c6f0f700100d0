import { resolve } from "node:path";
import { KeysteadError } from "../../errors.ts";

/**
 * The path of the file that `sqlite:/absolute/path` or `sqlite:relative/path` names. Everything after the colon is the path,
 * character by character: no options, no percent-encoding.
 * @throws KeysteadError `INVALID_ARGUMENT` for another scheme, an empty path, `sqlite://…` and `sqlite::memory:`.
 */
export function sqlitePath(url: string): string {
  const path = url.startsWith("sqlite:") ? url.slice("sqlite:".length) : "";
  if (path === "" || path.startsWith("//") || path.startsWith(":memory:") || path.includes("\0")) {
    throw new KeysteadError("INVALID_ARGUMENT", "database URL must be sqlite:/absolute/path or sqlite:relative/path of an existing file");
  }
  return resolve(path);
}
