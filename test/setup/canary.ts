import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Secrets that must not be seen. Tests protect the values of {@link canaries} wherever they need a plaintext, a passphrase or a
 * key, and name the secrets they make with {@link registerSecret}. After the run `scripts/test.ts` searches everything that was
 * printed, everything given to {@link recordOutput} and each worker's diagnostic report for all of them.
 */

/** A secret in the forms in which a test may need it. */
export interface Canary {
  readonly bytes: Buffer;
  /** UTF-8 text; of key bytes, their hex. */
  readonly text: string;
  readonly base64: string;
  readonly base64url: string;
  readonly hex: string;
}

function canary(bytes: Buffer, text = bytes.toString("hex")): Canary {
  return { bytes, text, base64: bytes.toString("base64"), base64url: bytes.toString("base64url"), hex: bytes.toString("hex") };
}

function textCanary(text: string): Canary {
  return canary(Buffer.from(text), text);
}

function keyCanary(name: string): Canary {
  return canary(createHash("sha256").update(`keystead canary ${name}`).digest());
}

/** Distinctive values for tests to protect. None of them is ever legitimate in an output, an error, a log or a report. */
export const canaries = {
  email: textCanary("canary.aurelia-7391@secret.example"),
  phone: textCanary("+49-canary-30-5550-7391-884"),
  name: textCanary("Kanarienvogel-Ωμέγα-秘密-7391"),
  diagnosis: textCanary("canary-diagnosis-F84.5-severe-7391"),
  passphrase: textCanary("canary-correct-horse-battery-staple-7391"),
  masterKey: keyCanary("master key"),
  importedKey: keyCanary("imported key"),
} as const satisfies Record<string, Canary>;

/** Environment variable that names the folder of the whole test run; absent when vitest is run directly. */
export const testRunVariable = "KEYSTEAD_TEST_RUN";

/** Files in the folder of the test run. */
export const testRunFiles = { secrets: "secrets.txt", outputs: "outputs.txt", reports: "reports.txt" } as const;

function append(file: keyof typeof testRunFiles, text: string): void {
  const folder = process.env[testRunVariable];
  if (folder !== undefined) appendFileSync(join(folder, testRunFiles[file]), text, { mode: 0o600 });
}

/** Shortest secret that can be searched for without finding it by chance, in bytes. */
const shortestSecret = 12;

/** Names a secret that a test made, so that the run's outputs are searched for it, too. At least 12 bytes. */
export function registerSecret(secret: string | Uint8Array): void {
  const bytes = Buffer.from(typeof secret === "string" ? new TextEncoder().encode(secret) : secret);
  if (bytes.length < shortestSecret)
    throw new RangeError(`a secret to search for has at least ${shortestSecret} bytes, got ${bytes.length}`);
  append("secrets", `${bytes.toString("hex")}\n`);
}

/** Adds text that a test caught, such as the stderr of a command, to what is searched. Not for what rightly shows a plaintext. */
export function recordOutput(text: string): void {
  append("outputs", `${text}\n`);
}

/** Adds a diagnostic report to what is searched. */
export function recordReport(report: object): void {
  append("reports", `${JSON.stringify(report)}\n`);
}
