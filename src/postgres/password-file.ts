import { KeysteadError } from "../errors.ts";
import { readPrivateFile } from "../private-file.ts";

const mostBytes = 1024 * 1024;

/** What a password is for. */
export interface PasswordPlace {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password for a place from a file in libpq's form: lines `HOST:PORT:DATABASE:USER:PASSWORD`, `*` for any, `\:` and `\\` for
 * these characters. The first line that fits counts. https://www.postgresql.org/docs/current/libpq-pgpass.html
 *
 * @throws KeysteadError `INSECURE_FILE` when others may read it, `INVALID_ARGUMENT` when it can't be read or no line fits
 */
export async function readPasswordFile(path: string, place: PasswordPlace): Promise<string> {
  const bytes = await readPrivateFile(path, mostBytes, { what: "password file", remedy: "correct the path", code: "INVALID_ARGUMENT" });
  if (bytes === undefined) throw new KeysteadError("INVALID_ARGUMENT", `the password file ${path} is larger than 1 MiB: correct the path`);
  const password = findPassword(bytes.toString("utf8"), place);
  bytes.fill(0);
  if (password !== undefined) return password;
  throw new KeysteadError("INVALID_ARGUMENT", "no line of the password file fits this host, port, database and user: add one");
}

function findPassword(text: string, { host, port, database, user }: PasswordPlace): string | undefined {
  const wanted = [host, String(port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const fields = [...line.matchAll(/(?<=^|:)(?:[^\\:]|\\.)*/g)].map(([field]) => field);
    const fits = wanted.every((value, index) => fields[index] === "*" || unescape(fields[index] ?? "") === value);
    const [, , , , password] = fields;
    if (fits && password !== undefined) return unescape(password);
  }
  return undefined;
}

function unescape(field: string): string {
  return field.replaceAll(/\\(.)/g, "$1");
}
