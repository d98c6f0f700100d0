import { resolve } from "node:path";
import { writeWhole } from "../../durable-file.ts";
import type { Keystead } from "../../index.ts";
import { unwritable } from "../file-failures.ts";

/** Milliseconds that the first token lasts. */
const lifetime = 3_600_000;

/** Whoever has the folder has its master key and may do all of this without a token, too. Nothing that a policy has to name is among it. */
const firstRoles = ["admin", "key-admin", "encryptor", "decryptor"] as const;

/** What is done with the first token of an administrator. */
export type FirstToken =
  { readonly kind: "shown"; readonly token: string } | { readonly kind: "written"; readonly file: string } | { readonly kind: "none" };

/**
 * Makes a token for an administrator, good for an hour, where somebody can get it: in a file that only its owner can read, or on a
 * terminal. It goes nowhere else.
 * @param isWanted - without a file: somebody who has no token yet looks at a terminal
 * @throws KeysteadError `INVALID_ARGUMENT`, `STORE_FULL` when the file can't be written
 */
export async function makeFirstToken(keystead: Keystead, file: string | undefined, isWanted: boolean): Promise<FirstToken> {
  if (file === undefined && !isWanted) return { kind: "none" };
  const { systemClock } = await import("../../index.ts");
  const expiresAt = new Date(systemClock.now() + lifetime);
  const { token } = await keystead.tokens.create({ name: "first administrator", roles: firstRoles, expiresAt });
  if (file === undefined) return { kind: "shown", token };
  await writeWhole(resolve(file), [`${token}\n`], {
    temporary: `${resolve(file)}.new`,
    busy: `another process writes ${file} at this moment; if none does, remove ${file}.new`,
    failed: (cause) => unwritable(file, cause),
  });
  return { kind: "written", file };
}
