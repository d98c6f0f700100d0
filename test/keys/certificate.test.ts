import { generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { Signer } from "../../src/audit/signature.ts";
import { encodeFields } from "../../src/crypto/encode.ts";
import { type DestructionCertificate, type Keystead, verifyCertificate } from "../../src/index.ts";
import { signCertificate } from "../../src/keys/certificate.ts";
import { initKeystead } from "../../src/keystead.ts";
import type { Store } from "../../src/store/store.ts";
import { auditFile, unhex } from "../golden/support/golden-files.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder, type TestKeystead } from "../support/test-keystead.ts";
import { openWithParts } from "../support/test-parts.ts";

const day = 86_400_000;
const fieldNames = ["statement", "signer", "publicKey", "signature"] as const;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");

/** A store whose key `k` has a destroyed version 1. */
async function withDestroyedVersion(): Promise<TestKeystead> {
  const made = await createTestKeystead({ settings: { refreshBound: 20 } });
  await destroyFirst(made.keystead, made.clock, "k");
  return made;
}

async function destroyFirst(keystead: Keystead, clock: TestClock, key: string): Promise<void> {
  await keystead.keys.create({ name: key, purpose: "pii" });
  await keystead.keys.rotate(key);
  await keystead.keys.destroy(key, 1, { reason: "retired" });
  clock.advance(7 * day);
  await keystead.refresh();
  await keystead.keys.destroy(key, 1);
}

async function publicKeysOf(keystead: Keystead): Promise<Uint8Array[]> {
  return (await keystead.audit.signers()).map(({ publicKey }) => publicKey);
}

function newSigner(keyId: string): Signer {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { keyId, publicKeyDer: publicKey.export({ format: "der", type: "spki" }), sign: (data) => sign(null, data, privateKey) };
}

describe("the certificate of a destroyed version", () => {
  it("is given again, by name and alias, and says what happened when", async () => {
    const clock = new TestClock();
    const options = { ...fileStore(temporaryFolder()), clock };
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    await first.keys.create({ name: "k", purpose: "pii" });
    await first.keys.rotate("k");
    const scheduledAt = clock.now();
    await first.keys.destroy("k", 1, { reason: "retired" });
    clock.advance(7 * day);
    await first.refresh();
    const done = await first.keys.destroy("k", 1);
    await first.close();

    const keystead = await openTestKeystead(options);
    await keystead.keys.setAlias("old name", "k");
    const certificate = await keystead.keys.certificate("old name", 1);
    expect(done).toMatchObject({ certificate });
    const key = await keystead.keys.show("k");
    const report = verifyCertificate(certificate, { pinnedKeys: await publicKeysOf(keystead), storeId: keystead.store.id });
    const instants = { scheduledAt: new Date(scheduledAt).toISOString(), executedAt: new Date(scheduledAt + 7 * day).toISOString() };
    expect(report.findings).toEqual([]);
    expect(report.statement).toMatchObject({
      store: keystead.store.id,
      key: { id: key.id, name: "k" },
      version: key.versions[0]?.label,
      ...instants,
      reason: "retired",
      principal: { source: "embedded", id: "embedded" },
      evidence: { censuses: [], opens: 0 },
      signer: (await keystead.audit.signers())[0]?.signer,
    });
    expect(key.versions[0]).toMatchObject({ state: "destroyed", stateReason: "retired" });
  });

  it("names no schedule and no older reason for a version that never was active", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const activateAt = new Date(clock.now() + day);
    await keystead.keys.rotate("k", { activateAt });
    clock.advance(60_000);
    await keystead.refresh();
    await keystead.keys.destroy("k", 2);
    const pinnedKeys = await publicKeysOf(keystead);
    const { statement } = verifyCertificate(await keystead.keys.certificate("k", 2), { pinnedKeys });
    expect(statement).not.toHaveProperty("scheduledAt");
    expect(statement).toMatchObject({ executedAt: new Date(clock.now()).toISOString(), reason: "destroyed while pre-active" });
    expect((await keystead.keys.show("k")).versions[1]?.stateReason).toBe("destroyed while pre-active");
  });

  it("is refused for a version that is not destroyed, or not there", async () => {
    const { keystead } = await withDestroyedVersion();
    expect(await codeOf(keystead.keys.certificate("k", 2))).toBe("KEY_STATE");
    expect(await codeOf(keystead.keys.certificate("k", 3))).toBe("UNKNOWN_KEY_VERSION");
    expect(await codeOf(keystead.keys.certificate("l", 1))).toBe("UNKNOWN_KEY");
  });
});

describe("verifyCertificate", () => {
  let certificate: DestructionCertificate;
  let pinnedKeys: Uint8Array[];
  let storeId: string;

  beforeAll(async () => {
    const { keystead, clock } = await withStore();
    await destroyFirst(keystead, clock, "k");
    certificate = await keystead.keys.certificate("k", 1);
    pinnedKeys = await publicKeysOf(keystead);
    storeId = keystead.store.id;
    await keystead.close();
  });

  /** As createTestKeystead, outside of a test. */
  async function withStore(): Promise<TestKeystead> {
    const clock = new TestClock();
    const options = { store: "memory:", masterKeys: { main: { bytes: Buffer.alloc(32, 7) } }, clock, settings: { refreshBound: 20 } };
    return { keystead: await initKeystead(options), clock };
  }

  const kindOf = (altered: unknown, pinned = pinnedKeys): string | undefined => {
    const { findings, statement } = verifyCertificate(altered, { pinnedKeys: pinned });
    expect(statement === undefined).toBe(findings.length > 0);
    return findings[0]?.kind;
  };

  it("needs nothing but the certificate and the public key", () => {
    expect(kindOf(certificate)).toBeUndefined();
    expect(kindOf(JSON.parse(JSON.stringify(certificate)))).toBeUndefined();
    expect(kindOf(certificate, [newSigner("").publicKeyDer, ...pinnedKeys])).toBeUndefined();
  });

  it("finds a bit that was turned over, in every byte of every field", () => {
    for (const field of fieldNames) {
      for (let index = 0; index < certificate[field].length; index++) {
        const character = String.fromCharCode(certificate[field].charCodeAt(index) ^ (1 << (index % 8)));
        const altered = certificate[field].slice(0, index) + character + certificate[field].slice(index + 1);
        expect(kindOf({ ...certificate, [field]: altered }), `${field} ${index.toString()}`).toBeDefined();
      }
    }
  });

  it("finds what was cut, added, swapped or left out", () => {
    fc.assert(
      fc.property(fc.constantFrom(...fieldNames), fc.nat(), fc.string({ minLength: 1, maxLength: 4 }), (field, at, more) => {
        const value = certificate[field];
        const place = at % value.length;
        expect(kindOf({ ...certificate, [field]: value.slice(0, place) })).toBeDefined();
        expect(kindOf({ ...certificate, [field]: value.slice(0, place) + more + value.slice(place) })).toBeDefined();
      }),
    );
    for (const field of fieldNames) {
      const { [field]: _left, ...rest } = certificate;
      expect(kindOf(rest)).toBe("form");
    }
    expect(kindOf({ ...certificate, more: "" })).toBe("form");
  });

  it("takes anything for what it is, and throws for nothing", () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(kindOf(value)).toBe("form");
      }),
    );
    expect(kindOf({ ...certificate, statement: "\ud800" })).toBe("form");
  });

  it("finds a certificate of another store", async () => {
    const { keystead, clock } = await withStore();
    await destroyFirst(keystead, clock, "k");
    const other = await keystead.keys.certificate("k", 1);
    const otherKeys = await publicKeysOf(keystead);
    await keystead.close();
    expect(kindOf(other)).toBe("key");
    expect(kindOf({ ...other, publicKey: certificate.publicKey })).toBe("signature");
    const { findings } = verifyCertificate(other, { pinnedKeys: [...pinnedKeys, ...otherKeys], storeId });
    expect(findings).toMatchObject([{ kind: "store" }]);
    expect(verifyCertificate(certificate, { pinnedKeys: [...pinnedKeys, ...otherKeys], storeId }).findings).toEqual([]);
  });

  it("finds a signature of a key that is not the audit's", () => {
    const { statement } = verifyCertificate(certificate, { pinnedKeys });
    if (statement === undefined) throw new Error("the certificate is genuine");
    const forged = signCertificate(newSigner(statement.signer), statement);
    expect(kindOf(forged)).toBe("key");
    expect(kindOf({ ...forged, publicKey: certificate.publicKey })).toBe("signature");
  });

  it("finds what the audit's key signed for another end", () => {
    const signer = newSigner("keystead/audit:1-abcdef");
    const signed = (tag: string, statement: string, keyId = signer.keyId) => {
      const signature = text(signer.sign(encodeFields(tag, statement)));
      return kindOf({ statement, signer: keyId, publicKey: text(signer.publicKeyDer), signature }, [signer.publicKeyDer]);
    };
    const { statement } = certificate;
    const said = JSON.parse(statement) as Readonly<Record<string, unknown>>;
    const tag = "keystead certificate v1";
    const own = JSON.stringify({ ...said, signer: signer.keyId });
    expect(signed(tag, own)).toBeUndefined();
    expect(signed("keystead checkpoint v1", own)).toBe("signature");
    expect(signed(tag, JSON.stringify({ ...said, type: "keystead.creation" }))).toBe("statement");
    expect(signed(tag, JSON.stringify({ ...said, format: 3 }))).toBe("statement");
    expect(signed(tag, JSON.stringify({ ...said, evidence: {} }))).toBe("statement");
    expect(signed(tag, "no JSON")).toBe("statement");
    expect(signed(tag, statement)).toBe("signer");
    expect(signed(tag, JSON.stringify({ ...said, signer: "somebody" }), "somebody")).toBe("signer");
  });

  it("wants a public key", () => {
    for (const pinned of [[], [Buffer.from("no key")], [...pinnedKeys, Buffer.alloc(44)]]) {
      expect(() => verifyCertificate(certificate, { pinnedKeys: pinned })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
  });

  it("reads those of format 1", () => {
    const golden: unknown = JSON.parse(auditFile.certificate);
    const { statement } = verifyCertificate(golden, { pinnedKeys: [unhex(auditFile.publicKey)], storeId: auditFile.storeId });
    expect(statement).toMatchObject({ key: { name: "pii-email" }, version: "3-aaaaaa", signer: "keystead/audit:1-i3nu75" });
  });
});

describe("audit verify", () => {
  /** A store of two destroyed versions, and the means to change its rows as somebody with the store key could. */
  async function openTwo(): Promise<{ keystead: Keystead; store: Store }> {
    const clock = new TestClock();
    const options = { ...fileStore(temporaryFolder()), clock };
    const first = await initKeystead({ ...options, settings: { refreshBound: 20 } });
    for (const key of ["a", "b"]) await destroyFirst(first, clock, key);
    await first.close();
    let opened: Store | undefined;
    const keystead = await openWithParts(options, { store: (store) => (opened = store) });
    if (opened === undefined) throw new Error("the store was opened");
    return { keystead, store: opened };
  }

  it("checks every certificate, against pinned keys, too", async () => {
    const { keystead } = await openTwo();
    expect(await keystead.audit.verify()).toMatchObject({ findings: [], certificates: 2 });
    expect(await keystead.audit.verify({ pinnedKeys: await publicKeysOf(keystead) })).toMatchObject({ findings: [] });
    const { findings } = await keystead.audit.verify({ pinnedKeys: [newSigner("").publicKeyDer] });
    expect(findings.filter(({ kind }) => kind === "certificate")).toHaveLength(2);
    expect(findings.length).toBeGreaterThan(2);
  });

  it("names a certificate that was altered, swapped, or is missing", async () => {
    const { keystead, store } = await openTwo();
    const [a, b] = await Promise.all(["a", "b"].map((name) => keystead.keys.show(name)));
    const labels = [a, b].map((key) => `${key?.name ?? ""} ${key?.versions[0]?.label ?? ""}`);
    const put = (name: string, certificate: object) =>
      store.transaction(async (tables) => {
        const [key] = await tables.keys.list({ name });
        const [row] = await tables.tombstones.list({ keyId: key?.id ?? "" });
        if (row === undefined) throw new Error("there is a tombstone");
        await tables.tombstones.update({ ...row, certificate: JSON.stringify(certificate) });
      });
    const certificateFindings = async () => (await keystead.audit.verify()).findings.map(({ kind, certificate }) => [kind, certificate]);

    const [first, second] = [await keystead.keys.certificate("a", 1), await keystead.keys.certificate("b", 1)];
    await put("a", { ...first, statement: first.statement.replace("retired", "retried") });
    expect(await certificateFindings()).toEqual([["certificate", labels[0]]]);
    await put("a", second);
    expect(await certificateFindings()).toEqual([["certificate", labels[0]]]);
    await put("a", first);
    expect(await certificateFindings()).toEqual([]);

    await store.transaction(async (tables) => {
      for (const row of await tables.tombstones.list({ keyId: b?.id ?? "" })) await tables.tombstones.remove(row);
    });
    expect(await certificateFindings()).toEqual([["certificate", labels[1]]]);
    expect(await codeOf(keystead.keys.certificate("b", 1))).toBe("STORE_TAMPERED");
    const report = (await keystead.doctor.examine()).filter(({ status }) => status === "failed");
    expect(report.map(({ message }) => message).join()).toContain(labels[1]);
  });
});
