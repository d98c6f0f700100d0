import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readPassphraseFile } from "../../src/kek/local/passphrase-file.ts";
import { canaries } from "../setup/canary.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const { text: passphrase } = canaries.passphrase;

function file(content: string | Uint8Array, mode = 0o600): string {
  const path = join(temporaryFolder(), "passphrase");
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe("readPassphraseFile", () => {
  it.each(["", "\n", "\r\n"])("takes the text without the line break %j at its end", async (end) => {
    expect(await readPassphraseFile(file(`${passphrase}${end}`))).toBe(passphrase);
  });

  it("keeps everything else, and passphrases of every length that there may be", async () => {
    const long = `\ufeff ${"x".repeat(4_090)}\n `;
    expect(await readPassphraseFile(file(`${long}\n`))).toBe(long);
    await expect(readPassphraseFile(file("x".repeat(4_099)))).rejects.toMatchObject({ code: "KEK_FAILED" });
  });

  it.skipIf(process.platform === "win32").each([0o644, 0o640, 0o602])("refuses mode %o as for a master key file", async (mode) => {
    const path = file(passphrase, mode);
    const message = `the passphrase file ${path} is open to other users (mode 0${mode.toString(8)}); run: chmod 600 ${path}`;
    await expect(readPassphraseFile(path)).rejects.toMatchObject({ code: "INSECURE_FILE", message });
  });

  it("says what is wrong with another file, and nothing that is in it", async () => {
    const missing = join(temporaryFolder(), "none");
    await expect(readPassphraseFile(missing)).rejects.toMatchObject({
      code: "KEK_FAILED",
      message: `the passphrase file ${missing} does not exist; write it, or give the right path`,
    });
    const latin1 = file(Buffer.from([0x61, 0xff]));
    await expect(readPassphraseFile(latin1)).rejects.toMatchObject({
      code: "KEK_FAILED",
      message: `the passphrase file ${latin1} is not UTF-8 text; write it anew`,
    });
    await expect(readPassphraseFile(temporaryFolder())).rejects.toMatchObject({ code: "INSECURE_FILE" });
  });
});
