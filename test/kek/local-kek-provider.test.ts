import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { encodeFields } from "../../src/crypto/encode.ts";
import { hkdf } from "../../src/crypto/kdf.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { xaes256Gcm } from "../../src/crypto/xaes-256-gcm.ts";
import { derivesFromPassphrase, type WrapContext } from "../../src/kek/kek.ts";
import { parseKekUri } from "../../src/kek/kek-uri.ts";
import { LocalKekProvider, type LocalKekProviderOptions } from "../../src/kek/local/local-kek-provider.ts";
import { createMasterKeyFile } from "../../src/kek/local/master-key-file.ts";
import { testKekProvider } from "../../src/testing/kek-provider.ts";
import { canaries } from "../setup/canary.ts";

const cheap = { algorithm: "argon2id", memoryKib: 19_456, passes: 2 } as const;
const context: WrapContext = { storeId: "store-1", subject: "store", kekUri: "local:main" };
let directory = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "keystead-kek-"));
  await createMasterKeyFile(join(directory, "main.key"), "main", systemRandom);
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

function provider(masterKeys: LocalKekProviderOptions["masterKeys"]): LocalKekProvider {
  return new LocalKekProvider({ masterKeys });
}

testKekProvider({
  describe,
  it,
  name: "local, from a file",
  uri: "local:main",
  createProvider: () => provider({ main: { file: join(directory, "main.key") } }),
});

testKekProvider({
  describe,
  it,
  name: "local, from bytes",
  uri: "local:main",
  createProvider: () => provider({ main: { bytes: canaries.masterKey.bytes } }),
});

testKekProvider({
  describe,
  it,
  name: "local, from a passphrase",
  uri: "local:main",
  createProvider: () => provider({ main: { passphrase: canaries.passphrase.text } }),
  openOptions: { derivation: "argon2id:m=19456,t=2,p=1:AAECAwQFBgcICQoLDA0ODw" },
});

describe("local master keys", () => {
  it("wraps as the format says, so that others can open it", async () => {
    const kek = await provider({ main: { bytes: canaries.masterKey.bytes } }).open(parseKekUri("local:main"), {});
    const key = Buffer.alloc(32, 7);
    const { kekId, bytes } = await kek.wrapKey(key, { context });
    const aead = xaes256Gcm.createAead(xaes256Gcm.importKey(canaries.masterKey.bytes), { random: systemRandom, clock: systemClock });
    expect(aead.open(bytes, encodeFields("ks1-wrap", "store-1", "store", "local:main"))).toEqual(key);
    const checkValue = hkdf(canaries.masterKey.bytes, encodeFields("keystead check v1", "main"), 16);
    expect(kekId).toBe(`main:${checkValue.toString("hex")}`);
  });

  it("recognises the wrong master key before anything is tried, and shows both check values shortened", async () => {
    const kek = await provider({ main: { bytes: canaries.masterKey.bytes } }).open(parseKekUri("local:main"), {});
    const other = await provider({ main: { bytes: canaries.importedKey.bytes } }).open(parseKekUri("local:main"), {});
    const wrapped = await kek.wrapKey(Buffer.alloc(32, 7), { context });
    const refusal = other.unwrapKey(wrapped, { context });
    await expect(refusal).rejects.toMatchObject({ code: "WRONG_MASTER_KEY" });
    await expect(refusal).rejects.toThrow(kek.kekId.slice(0, "main:".length + 8));
    await expect(refusal).rejects.toThrow(other.kekId.slice(0, "main:".length + 8));
    await expect(refusal).rejects.not.toThrow(kek.kekId);
  });

  it("tells keys of the same bytes and another name apart", async () => {
    const bytes = canaries.masterKey.bytes;
    const both = provider({ one: { bytes }, two: { bytes } });
    const [one, two] = await Promise.all(["local:one", "local:two"].map((uri) => both.open(parseKekUri(uri), {})));
    expect(one?.kekId.split(":")[1]).not.toBe(two?.kekId.split(":")[1]);
  });

  it("names the configured keys when another is asked for", async () => {
    const configured = provider({ beta: { bytes: Buffer.alloc(32) }, alpha: { bytes: Buffer.alloc(32) } });
    const refusal = configured.open(parseKekUri("local:gamma"), {});
    await expect(refusal).rejects.toMatchObject({ code: "UNKNOWN_KEK" });
    await expect(refusal).rejects.toThrow("alpha, beta");
    await expect(configured.open(parseKekUri("local:constructor"), {})).rejects.toMatchObject({ code: "UNKNOWN_KEK" });
    await expect(provider({}).open(parseKekUri("local:main"), {})).rejects.toThrow("none");
  });

  it.each([
    ["a bad name", { "a:b": { bytes: Buffer.alloc(32) } }],
    ["short bytes", { main: { bytes: Buffer.alloc(31) } }],
    ["long bytes", { main: { bytes: Buffer.alloc(33) } }],
    ["an ill-formed passphrase", { main: { passphrase: "passphrase \ud800" } }],
  ])("refuses %s", (_, masterKeys) => {
    expect(() => provider(masterKeys)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("keeps its own copy of the caller's bytes", async () => {
    const bytes = Buffer.from(canaries.masterKey.bytes);
    const configured = provider({ main: { bytes } });
    const before = (await configured.open(parseKekUri("local:main"), {})).kekId;
    bytes.fill(0);
    expect((await configured.open(parseKekUri("local:main"), {})).kekId).toBe(before);
  });

  it("shows nothing secret, however it is printed", async () => {
    const configured = provider({
      bytes: { bytes: canaries.masterKey.bytes },
      words: { passphrase: canaries.passphrase.text, parameters: cheap },
    });
    const keks = await Promise.all(["local:bytes", "local:words"].map((uri) => configured.open(parseKekUri(uri), {})));
    for (const thing of [configured, ...keks]) {
      const shown = inspect(thing, { depth: null, showHidden: true, showProxy: true }) + JSON.stringify(thing);
      expect(shown).not.toContain(canaries.passphrase.text);
      expect(shown).not.toContain(canaries.masterKey.hex);
      expect(shown).not.toContain(canaries.masterKey.base64url);
    }
  });
});

describe("passphrases", () => {
  it("draws a fresh salt on first use, and derives the same key from the stored parameters", async () => {
    const configured = provider({ main: { passphrase: canaries.passphrase.text, parameters: cheap } });
    const [first, second] = await Promise.all([1, 2].map(() => configured.open(parseKekUri("local:main"), {})));
    if (first === undefined || second === undefined || !derivesFromPassphrase(first) || !derivesFromPassphrase(second)) {
      throw new Error("a KEK from a passphrase must have derivation parameters");
    }
    expect(first.derivation).toMatch(/^argon2id:m=19456,t=2,p=1:/);
    expect(first.derivation).not.toBe(second.derivation);
    expect(first.kekId).not.toBe(second.kekId);
    const again = await provider({ main: { passphrase: canaries.passphrase.bytes } }).open(parseKekUri("local:main"), {
      derivation: first.derivation,
    });
    expect(again.kekId).toBe(first.kekId);
    const wrong = await provider({ main: { passphrase: "another passphrase" } }).open(parseKekUri("local:main"), {
      derivation: first.derivation,
    });
    expect(wrong.kekId).not.toBe(first.kekId);
  });

  it("takes scrypt when asked", async () => {
    const configured = provider({ main: { passphrase: canaries.passphrase.text, parameters: { algorithm: "scrypt" } } });
    const kek = await configured.open(parseKekUri("local:main"), {});
    expect(derivesFromPassphrase(kek) && kek.derivation).toMatch(/^scrypt:ln=17,r=8,p=1:/);
  });

  it.each([
    "",
    "argon2id",
    "argon2id:m=99999999,t=2,p=1:AAECAwQFBgcICQoLDA0ODw",
    "argon2id:m=8,t=2,p=1:AAECAwQFBgcICQoLDA0ODw",
    "scrypt:ln=40,r=8,p=1:AAECAwQFBgcICQoLDA0ODw",
  ])("refuses stored parameters %j before anything is computed", async (derivation) => {
    const configured = provider({ main: { passphrase: canaries.passphrase.text } });
    await expect(configured.open(parseKekUri("local:main"), { derivation })).rejects.toMatchObject({ code: "KEK_FAILED" });
  });

  it("refuses a passphrase that is too short", async () => {
    const configured = provider({ main: { passphrase: "short", parameters: cheap } });
    await expect(configured.open(parseKekUri("local:main"), {})).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("has no derivation for files and bytes", async () => {
    const kek = await provider({ main: { bytes: Buffer.alloc(32) } }).open(parseKekUri("local:main"), {});
    expect(derivesFromPassphrase(kek)).toBe(false);
  });
});
