import { open } from "node:fs/promises";
import process from "node:process";
import { KeysteadError } from "../errors.ts";

const groupAndOthers = 0o077;
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
  const password = findPassword(await readPrivate(path), place);
  if (password !== undefined) return password;
  throw new KeysteadError("INVALID_ARGUMENT", "no line of the password file fits this host, port, database and user: add one");
}

async function readPrivate(path: string): Promise<string> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new KeysteadError("INVALID_ARGUMENT", `the password file ${path} can't be read: correct the path`, { cause });
  });
  try {
    const { mode, size } = await file.stat();
    if (process.platform !== "win32" && (mode & groupAndOthers) !== 0)
      throw new KeysteadError("INSECURE_FILE", `others than its owner may read the password file ${path}: run chmod 600 on it`);
    if (size > mostBytes) throw new KeysteadError("INVALID_ARGUMENT", `the password file ${path} is larger than 1 MiB: correct the path`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
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
