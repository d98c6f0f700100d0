import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../../src/clock.ts";
import type { AlgorithmName } from "../../../src/crypto/algorithms.ts";
import type { IndexSpec } from "../../../src/crypto/blind-index.ts";
import type { CiphertextKind, Context } from "../../../src/crypto/context.ts";
import type { CanonicalType } from "../../../src/fields/canonical-text.ts";

const folder = new URL("../v1/", import.meta.url);

/** A row as the database has it, bytes as hexadecimal. */
type Row = Readonly<Record<string, string | number | null>>;

interface KeysFile {
  readonly masterKeyFile: string;
  readonly checkValue: string;
  readonly storeKey: string;
  readonly passphrases: readonly { readonly passphrase: string; readonly parameters: string; readonly masterKey: string }[];
  readonly keysetKeys: readonly { readonly keyId: string; readonly key: string }[];
  readonly versionKeys: readonly { readonly keyId: string; readonly name: string; readonly label: string; readonly key: string }[];
  readonly manifest: readonly Row[];
  readonly keks: readonly Row[];
  readonly wraps: readonly Row[];
  readonly keys: readonly Row[];
  readonly versions: readonly Row[];
}

interface UsedKey {
  readonly algorithm: AlgorithmName;
  readonly keyName: string;
  readonly keyId: string;
  readonly version: number;
  readonly label: string;
  readonly key: string;
}

/** An entry of `ciphertext.json`. */
export interface GoldenCiphertext extends UsedKey {
  readonly kind: CiphertextKind;
  readonly form: "text" | "binary";
  readonly context: Context;
  readonly aad: string;
  readonly nonce: string;
  readonly plaintext: string;
  readonly ciphertext: string;
  /** Type of a typed value. */
  readonly type?: string;
  readonly printed: string;
}

/** An entry of `streams/streams.json`. */
export interface GoldenStream extends UsedKey {
  readonly file: string;
  readonly context: Context;
  readonly nonce: string;
  readonly fileKey: string;
  readonly plaintextSeed: string;
  readonly plaintextLength: number;
  readonly plaintextSha256: string;
  readonly sealedSha256: string;
}

interface IndexFile {
  readonly tokens: readonly {
    readonly keyId: string;
    readonly key: string;
    readonly spec: IndexSpec;
    readonly indexKey: string;
    readonly values: readonly string[];
    readonly token: string;
  }[];
}

interface MacFile {
  readonly tags: readonly {
    readonly keyName: string;
    readonly label: string;
    readonly key: string;
    readonly data: string;
    readonly tag: string;
  }[];
}

interface AuditFile {
  readonly storeId: string;
  readonly publicKey: string;
  readonly writers: readonly { readonly writer: string; readonly lines: readonly string[]; readonly chain: readonly string[] }[];
  readonly checkpoints: readonly {
    readonly hash: string;
    readonly previous: string;
    readonly takenAt: number;
    readonly generation: number;
    readonly body: string;
    readonly signature: string;
    readonly signer: string;
  }[];
  readonly certificate: string;
}

interface MetadataFile {
  readonly storeKey: string;
  readonly metadataKey: string;
  readonly rows: readonly {
    readonly table: string;
    readonly format: number;
    readonly columns: readonly (readonly [name: string, letter: "t" | "i" | "b" | "n", value: string])[];
    readonly rowVersion: number;
    readonly mac: string;
  }[];
}

interface ContextTextFile {
  readonly texts: readonly { readonly type: CanonicalType; readonly input: string | number | boolean; readonly text: string }[];
}

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, folder), "utf8"));
}

export const keysFile = read("keys.json") as KeysFile;
export const { ciphertexts } = read("ciphertext.json") as { readonly ciphertexts: readonly GoldenCiphertext[] };
export const { streams } = read("streams/streams.json") as { readonly streams: readonly GoldenStream[] };
export const { tokens } = read("blind-index.json") as IndexFile;
export const { tags } = read("mac.json") as MacFile;
export const auditFile = read("audit.json") as AuditFile;
export const metadataFile = read("metadata.json") as MetadataFile;
export const { texts } = read("context-text.json") as ContextTextFile;

/** Statements that make the golden store. */
export const storeStatements = readFileSync(new URL("store.sql", folder), "utf8");

/** The sealed bytes of a golden stream. */
export function readStream(file: string): Buffer {
  return readFileSync(new URL(`streams/${file}`, folder));
}

/** Names of all golden files. */
function fileNames(): string[] {
  const root = fileURLToPath(folder);
  const names = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length).replaceAll("\\", "/").replace(/^\//, ""));
  return names.sort();
}

/** SHA-256 over names and contents of all golden files. */
export function digestOfAll(): string {
  const digest = createHash("sha256");
  for (const name of fileNames()) digest.update(`${name}\0`).update(readFileSync(new URL(name, folder)));
  return digest.digest("hex");
}

/** What the golden files say in JSON. */
export function textsOfAll(): string[] {
  return fileNames()
    .filter((name) => name.endsWith(".json"))
    .map((name) => readFileSync(new URL(name, folder), "utf8"));
}

/** Bytes of a hexadecimal text. */
export function unhex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

/** Lower-case hexadecimal. */
export function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("hex");
}

/** The first bytes of SHAKE-256 of a text. */
export function shake(seed: string, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : createHash("shake256", { outputLength: length }).update(seed).digest();
}

/** A clock that stands a little after the golden store was written. */
export const goldenClock: Clock = { now: () => Date.UTC(2027, 0, 2), monotonic: () => 0, wait: () => Promise.resolve() };
