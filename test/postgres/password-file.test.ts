import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPasswordFile } from "../../src/postgres/password-file.ts";
import { codeOf, temporaryFolder } from "../support/test-keystead.ts";

const place = { host: "db.internal", port: 5432, database: "c:rm", user: "anna" };

async function read(text: string): Promise<string> {
  const file = join(temporaryFolder(), "pgpass");
  writeFileSync(file, text, { mode: 0o600 });
  return await readPasswordFile(file, place);
}

describe("a password file", () => {
  it.each([
    ["a line that fits", "db.internal:5432:c\\:rm:anna:secret\n", "secret"],
    ["any", "*:*:*:*:secret", "secret"],
    ["the first line that fits", "other:*:*:*:no\n# *:*:*:*:comment\n\n*:5432:*:anna:first\n*:*:*:*:second\n", "first"],
    ["escapes in the password", "*:*:*:*:a\\:b\\\\c\r\n", "a:b\\c"],
    ["an empty password", "*:*:*:*:", ""],
  ])("gives the password of %s", async (_, text, expected) => {
    expect(await read(text)).toBe(expected);
  });

  it.each(["", "db.internal:5432:crm:anna:secret", "*:*:*:anna", "*:*:*:berta:x"])("refuses %j, in which no line fits", async (text) => {
    await expect(read(text)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("is refused when others may read it, or when it is not there", async () => {
    const file = join(temporaryFolder(), "pgpass");
    expect(await codeOf(readPasswordFile(file, place))).toBe("INVALID_ARGUMENT");
    writeFileSync(file, "*:*:*:*:x");
    chmodSync(file, 0o640);
    expect(await codeOf(readPasswordFile(file, place))).toBe("INSECURE_FILE");
  });
});
