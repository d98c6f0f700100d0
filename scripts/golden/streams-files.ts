import { createHash } from "node:crypto";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { createAadEncoder } from "../../src/crypto/context.ts";
import { formatStreamHeader, sealChunks, streamPrefix } from "../../src/crypto/stream.ts";
import { contexts } from "./ciphertext-file.ts";
import { formatJson, hex } from "./format.ts";
import { type GoldenKeyset, versionOf } from "./keyset.ts";
import { goldenClock, replay, shake } from "./source.ts";

interface StreamPlan {
  readonly length: number;
  readonly key: string;
  readonly context: keyof typeof contexts;
}

/** Around the length of a chunk, under each algorithm. */
const plans: readonly StreamPlan[] = [
  { length: 0, key: "pii-email", context: "none" },
  { length: 1, key: "acme/bank-account", context: "one" },
  { length: 65_535, key: "Acme/EU.de/med~v2/F_84", context: "several" },
  { length: 65_536, key: "7", context: "none" },
  { length: 65_537, key: "pii-email", context: "several" },
  { length: 200_000, key: "pii-email", context: "one" },
];

/** The files of `streams/`: one for each length, and what they are in `streams.json`. */
export async function streamsFiles(keyset: GoldenKeyset): Promise<Map<string, string | Buffer>> {
  const files = new Map<string, string | Buffer>();
  const entries: unknown[] = [];
  for (const plan of plans) {
    const file = `${plan.length}.ks1s`;
    const { sealed, entry } = await sealStream(keyset, plan);
    files.set(`streams/${file}`, sealed);
    entries.push({ file, ...entry });
  }
  const about =
    "Keystead format 1, streams. Byte strings are hexadecimal. The plaintext is the first bytes of SHAKE-256 of the text in plaintextSeed.";
  files.set("streams/streams.json", formatJson({ about, streams: entries }));
  return files;
}

async function sealStream(keyset: GoldenKeyset, plan: StreamPlan): Promise<{ readonly sealed: Buffer; readonly entry: object }> {
  const { keyId, name, algorithm: algorithmName, version, label, material } = versionOf(keyset, plan.key);
  const algorithm = algorithms[algorithmName];
  if (algorithm.kind !== "aead") throw new Error(`${name} is not for encryption`);
  const plaintextSeed = `keystead golden v1 stream ${plan.length}`;
  const plaintext = shake(plaintextSeed, plan.length);
  const fileKey = shake(`keystead golden v1 file key ${plan.length}`, 32);
  const nonce = shake(`keystead golden v1 file nonce ${plan.length}`, algorithm.messageLimit === undefined ? 24 : 12);
  const context = contexts[plan.context];
  const aead = algorithm.createAead(material.key, { random: replay(nonce), clock: goldenClock });
  const payload = aead.seal(fileKey, createAadEncoder("file-key", keyId, label)(context));
  const parts = [formatStreamHeader(streamPrefix(name, label), payload)];
  for await (const part of sealChunks(fileKey, asSource(plaintext))) parts.push(part);
  const sealed = Buffer.concat(parts);
  const key = { algorithm: algorithmName, keyName: name, keyId, version, label, key: hex(material.exportBytes()) };
  const plain = { plaintextSeed, plaintextLength: plan.length, plaintextSha256: sha256(plaintext) };
  return { sealed, entry: { ...key, context, nonce: hex(nonce), fileKey: hex(fileKey), ...plain, sealedSha256: sha256(sealed) } };
}

async function* asSource(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
