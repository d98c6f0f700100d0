import { createDecipheriv } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/access/caller.ts";
import type { PolicyInput } from "../../src/access/policy.ts";
import { encodeBase64url } from "../../src/crypto/base64url.ts";
import { parseText } from "../../src/crypto/ciphertext.ts";
import { createAadEncoder } from "../../src/crypto/context.ts";
import type { Keystead } from "../../src/keystead.ts";
import { isProblem } from "../../src/keys/data-acts.ts";
import type { LeasedKey, SealLease } from "../../src/keys/lease-service.ts";
import { registerSecret } from "../setup/canary.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";
import { sealWith } from "../support/sealed-by-lease.ts";

const anna: Caller = { principal: { source: "os-user", id: "anna" }, request: { id: "r1" } };
const hour = 3_600_000;

async function withKey(name = "k"): Promise<Awaited<ReturnType<typeof createTestKeystead>>> {
  const made = await createTestKeystead();
  await made.keystead.keys.create({ name, purpose: "pii" });
  return made;
}

/** The plaintext of a ciphertext by a leased key alone; undefined when it does not open. */
function openWith({ aesKey, keyId, label }: LeasedKey, sealed: string): string | undefined {
  const payload = parseText(sealed)?.payload ?? Buffer.alloc(40);
  const decipher = createDecipheriv("aes-256-gcm", aesKey, payload.subarray(12, 24), { authTagLength: 16 });
  decipher.setAAD(createAadEncoder("value", keyId, label)(undefined)).setAuthTag(payload.subarray(-16));
  const plaintext = decipher.update(payload.subarray(24, -16)).toString();
  try {
    decipher.final();
    return plaintext;
  } catch {
    return undefined;
  }
}

function prefixOf(sealed: string): { key: string; label: string; prefix: Buffer } {
  const { key, label, payload } = parseText(sealed) ?? { key: "", label: "", payload: Buffer.alloc(0) };
  return { key, label, prefix: payload.subarray(0, 12) };
}

async function lease(keystead: Pick<Keystead, "leases">, name = "k"): Promise<SealLease> {
  const made = await keystead.leases.seal(name);
  registerSecret(encodeBase64url(made.aesKey));
  return made;
}

describe("a sealing lease", () => {
  it("makes what the engine opens, and is bounded and counted at once", async () => {
    const { keystead } = await withKey();
    const made = await lease(keystead);
    expect(made).toMatchObject({ key: "k", messages: 2 ** 20, bytes: 2 ** 36, lifetime: hour });
    const sealed = sealWith(made, "hello");
    expect(await keystead.decryptText(sealed)).toBe("hello");
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(2 ** 20);
    await keystead.leases.release(made.id, 1);
    await keystead.leases.release(made.id, 1);
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(1);
    expect(await keystead.decryptText(sealed)).toBe("hello");
  });

  it("opens nothing of another prefix", async () => {
    const { keystead } = await withKey();
    const [first, second] = [await lease(keystead), await lease(keystead)];
    expect(openWith(first, sealWith(first, "mine"))).toBe("mine");
    expect(openWith(first, sealWith(second, "other"))).toBeUndefined();
    expect(openWith(first, await keystead.encrypt("k", "served"))).toBeUndefined();
  });

  it("counts for the dataset that it is for, and refuses one that is not there", async () => {
    const { keystead } = await withKey();
    expect(await codeOf(keystead.leases.seal("k", { dataset: "nowhere" }))).toBe("UNKNOWN_DATASET");
    expect(await codeOf(keystead.leases.seal("nothing"))).toBe("UNKNOWN_KEY");
  });

  it("ends with its version", async () => {
    const { keystead, clock } = await withKey();
    await keystead.keys.rotate("k", { expiresAt: new Date(clock.now() + 60_000) });
    expect((await lease(keystead)).lifetime).toBeLessThanOrEqual(60_000);
    clock.advance(60_000);
    expect(await codeOf(keystead.leases.seal("k"))).toBe("KEY_VERSION_EXPIRED");
  });

  it.each(["AES-256-GCM", "AES-256-GCM-KC", "ChaCha20-Poly1305"])(
    "is refused for %s, whose key is the key of all messages",
    async (algorithm) => {
      const { keystead } = await createTestKeystead();
      await keystead.keys.create({ name: "other", purpose: "pii", algorithm });
      await expect(keystead.leases.seal("other")).rejects.toThrow(/only XAES-256-GCM/);
      expect(await codeOf(keystead.leases.seal("other"))).toBe("KEY_USAGE");
      const sealed = await keystead.encrypt("other", "x");
      expect(await codeOf(keystead.leases.open(prefixOf(sealed)))).toBe("KEY_USAGE");
    },
  );

  it("is refused for suspended and compromised versions", async () => {
    const { keystead } = await withKey();
    const sealed = sealWith(await lease(keystead), "x");
    await keystead.keys.suspend("k", 1);
    expect(await codeOf(keystead.leases.seal("k"))).toBe("KEY_STATE");
    expect(await codeOf(keystead.leases.open(prefixOf(sealed)))).toBe("KEY_STATE");
    await keystead.keys.compromise("k", 1);
    expect(await codeOf(keystead.leases.seal("k"))).toBe("KEY_STATE");
    expect(await codeOf(keystead.leases.open(prefixOf(sealed)))).toBe("KEY_STATE");
  });
});

describe("an opening lease", () => {
  it("opens what a client sealed", async () => {
    const { keystead } = await withKey();
    const sealed = sealWith(await lease(keystead), "x");
    await keystead.keys.rotate("k");
    expect(openWith(await keystead.leases.open(prefixOf(sealed)), sealed)).toBe("x");
  });

  it("is refused for what the server sealed, for another key and label, and after a revocation", async () => {
    const { keystead } = await withKey();
    await keystead.keys.create({ name: "l", purpose: "pii" });
    expect(await codeOf(keystead.leases.open(prefixOf(await keystead.encrypt("k", "x"))))).toBe("UNKNOWN_LEASE");
    const made = await lease(keystead);
    const { prefix } = made;
    const { label } = prefixOf(await keystead.encrypt("l", "x"));
    expect(await codeOf(keystead.leases.open({ key: "l", label, prefix }))).toBe("UNKNOWN_LEASE");
    expect(await codeOf(keystead.leases.open({ key: "k", label: "9-aaaaaa", prefix }))).toBe("UNKNOWN_LEASE");
    expect(await codeOf(keystead.leases.open({ key: "k", label: made.label, prefix: Buffer.alloc(12) }))).toBe("UNKNOWN_LEASE");
    expect(await codeOf(keystead.leases.open({ key: "k", label: made.label, prefix: Buffer.alloc(3) }))).toBe("UNKNOWN_LEASE");
    await keystead.leases.revoke(made.id, { reason: "stolen laptop" });
    expect(await codeOf(keystead.leases.open({ key: "k", label: made.label, prefix }))).toBe("UNKNOWN_LEASE");
    expect(await keystead.decryptText(sealWith(made, "still there"))).toBe("still there");
  });
});

describe("a renewal", () => {
  it("says which leases hold", async () => {
    const { keystead, clock } = await withKey();
    const served = keystead.as(anna);
    await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions: ["*"] }).catch(() => undefined);
    const [first, second, third] = [await lease(keystead), await lease(keystead), await lease(keystead)];
    await keystead.leases.revoke(first.id);
    await keystead.leases.release(second.id, 0);
    const codes = async (use: "seal" | "open"): Promise<unknown[]> => {
      const answers = await keystead.leases.renew([first.id, second.id, third.id, "nothing"].map((id) => ({ id, use })));
      return answers.map((answer) => (isProblem(answer) ? answer.problem.code : "good"));
    };
    expect(await codes("seal")).toEqual(["UNKNOWN_LEASE", "UNKNOWN_LEASE", "good", "UNKNOWN_LEASE"]);
    expect(await codes("open")).toEqual(["UNKNOWN_LEASE", "good", "good", "UNKNOWN_LEASE"]);
    clock.advance(hour);
    expect(await codes("seal")).toEqual(["UNKNOWN_LEASE", "UNKNOWN_LEASE", "UNKNOWN_LEASE", "UNKNOWN_LEASE"]);
    expect(await codes("open")).toEqual(["UNKNOWN_LEASE", "good", "good", "UNKNOWN_LEASE"]);
    await keystead.keys.suspend("k", 1);
    expect(await codes("open")).toEqual(["UNKNOWN_LEASE", "KEY_STATE", "KEY_STATE", "UNKNOWN_LEASE"]);
    expect(served.records).toBe(0);
  });

  it("ends sealing leases of a version that is not current any more", async () => {
    const { keystead } = await withKey();
    const { id } = await lease(keystead);
    await keystead.keys.rotate("k");
    const [seal, open] = await keystead.leases.renew([
      { id, use: "seal" },
      { id, use: "open" },
    ]);
    expect(isProblem(seal) && seal.problem.code).toBe("KEY_STATE");
    expect(open).toEqual({ id });
  });
});

describe("access to leases", () => {
  const leases: PolicyInput = { effect: "allow", subject: "os-user:anna", actions: ["leases.create"] };
  const data: PolicyInput = { effect: "allow", subject: "role:writer", actions: ["data.encrypt", "data.decrypt"], keys: ["k"] };

  async function withPolicies(...policies: readonly PolicyInput[]): Promise<{ keystead: Keystead; codes: () => Promise<string[]> }> {
    const { keystead } = await withKey();
    for (const policy of policies) await keystead.policies.create(policy);
    const sealed = sealWith(await lease(keystead), "x");
    const writer = { ...anna, roles: ["writer"] };
    const codes = async (): Promise<string[]> => [
      await codeOf(keystead.as(writer).leases.seal("k")),
      await codeOf(keystead.as(writer).leases.open(prefixOf(sealed))),
    ];
    return { keystead, codes };
  }

  it("needs the right to lease and the right to the data", async () => {
    expect(await (await withPolicies(leases, data)).codes()).toEqual(["no error", "no error"]);
    expect(await (await withPolicies(leases)).codes()).toEqual(["ACCESS_DENIED", "ACCESS_DENIED"]);
    expect(await (await withPolicies(data)).codes()).toEqual(["ACCESS_DENIED", "ACCESS_DENIED"]);
    expect(await (await withPolicies(leases, { ...data, actions: ["data.decrypt"] })).codes()).toEqual(["ACCESS_DENIED", "no error"]);
  });

  it("is refused where a policy goes by the context, whatever it does and whenever", async () => {
    const context = { tenant: ["a"] };
    for (const effect of ["allow", "deny"] as const) {
      const { codes } = await withPolicies(leases, data, {
        effect,
        subject: "*",
        actions: ["data.decrypt"],
        context,
        notBefore: "2099-01-01T00:00:00Z",
      });
      expect(await codes()).toEqual(["no error", "ACCESS_DENIED"]);
    }
    const { codes, keystead } = await withPolicies(leases, data, { effect: "allow", subject: "*", actions: ["leases.*"], context });
    expect(await codes()).toEqual(["ACCESS_DENIED", "ACCESS_DENIED"]);
    await expect(keystead.as({ ...anna, roles: ["writer"] }).leases.seal("k")).rejects.toThrow(/depend on the context.*served calls/);
    const others = [
      { effect: "allow", subject: "os-user:berta", actions: ["data.*"], context },
      { effect: "allow", subject: "*", actions: ["data.encrypt"], keys: ["other/**"], context },
      { effect: "allow", subject: "*", actions: ["data.mac"], context },
    ] as const;
    expect(await (await withPolicies(leases, data, ...others)).codes()).toEqual(["no error", "no error"]);
  });

  it("leaves one record for each lease, opening, renewal, release and refusal", async () => {
    const { keystead } = await withPolicies(leases, data);
    const caller = { ...anna, roles: ["writer"] };
    const call = keystead.as(caller);
    const made = await call.leases.seal("k");
    expect(call.records).toBe(1);
    await keystead.as(caller).leases.open(prefixOf(sealWith(made, "x")));
    await keystead.as(caller).leases.renew([{ id: made.id, use: "seal" }]);
    await keystead.as(caller).leases.release(made.id, 7);
    expect(await codeOf(keystead.as(caller).leases.release("nothing", 7))).toBe("UNKNOWN_LEASE");
    expect(await codeOf(keystead.as(anna).leases.seal("k"))).toBe("ACCESS_DENIED");
    const prefix = encodeBase64url(made.prefix);
    const lease = made.id;
    const all = await keystead.audit.show({ action: "leases.create" });
    expect(all.slice(-6)).toMatchObject([
      { outcome: "allowed", key: "k", version: made.label, detail: { act: "seal", lease, prefix, messages: 2 ** 20 } },
      { outcome: "allowed", key: "k", version: made.label, detail: { act: "open", lease, prefix } },
      { outcome: "allowed", key: "k", detail: { act: "renew", items: 1, failed: 0 } },
      { outcome: "allowed", key: "k", detail: { act: "release", lease, messages: 7 } },
      { outcome: "failed", code: "UNKNOWN_LEASE" },
      { outcome: "denied", key: "k" },
    ]);
  });

  it("is its holder's own: nobody else seals on with a lease or releases it", async () => {
    const { keystead } = await withKey();
    await keystead.policies.create({ effect: "allow", subject: "*", actions: ["leases.create", "data.*"] });
    const made = await keystead.as(anna).leases.seal("k");
    const berta = { principal: { source: "os-user", id: "berta" } } as const;
    expect(await codeOf(keystead.as(berta).leases.release(made.id, 0))).toBe("UNKNOWN_LEASE");
    const [answer] = await keystead.as(berta).leases.renew([{ id: made.id, use: "seal" }]);
    expect(isProblem(answer)).toBe(true);
    expect((await keystead.leases.show(made.id)).principal).toBe("os-user:anna");
  });
});

describe("the list of leases", () => {
  it("shows those in force, the newest first", async () => {
    const { keystead, clock } = await withKey();
    await keystead.keys.create({ name: "l", purpose: "pii" });
    const made: SealLease[] = [];
    for (const name of ["k", "k", "l", "k"]) {
      made.push(await lease(keystead, name));
      clock.advance(1);
    }
    const [first, second, third, fourth] = made.map(({ id }) => id);
    expect((await keystead.leases.list()).map(({ id }) => id)).toEqual([fourth, third, second, first]);
    expect((await keystead.leases.list({ key: "l" })).map(({ id }) => id)).toEqual([third]);
    await keystead.keys.setAlias("ell", "l");
    expect((await keystead.leases.list({ key: "ell" })).map(({ id }) => id)).toEqual([third]);
    expect(await codeOf(keystead.leases.list({ key: "nothing" }))).toBe("UNKNOWN_KEY");
    await keystead.leases.revoke(second ?? "");
    await keystead.leases.release(first ?? "", 3);
    expect((await keystead.leases.list()).map(({ id }) => id)).toEqual([fourth, third]);
    expect(await keystead.leases.show(second ?? "")).toMatchObject({ state: "revoked", key: "k", revokedBy: "embedded:embedded" });
    expect(await keystead.leases.show(first ?? "")).toMatchObject({ state: "released", messages: 3 });
    clock.advance(hour);
    expect(await keystead.leases.list()).toEqual([]);
    expect(await keystead.leases.show(third ?? "")).toMatchObject({ state: "expired", key: "l" });
    const unknown = { code: "UNKNOWN_LEASE", message: "no lease has this id; `keystead leases list` shows those in force" };
    await expect(keystead.leases.show("nothing")).rejects.toMatchObject(unknown);
    await expect(keystead.leases.revoke("nothing")).rejects.toMatchObject(unknown);
    const over = { code: "UNKNOWN_LEASE", message: "no lease in force has this id; take a new one" };
    expect(await keystead.leases.renew([{ id: third ?? "", use: "seal" }])).toMatchObject([{ problem: over }]);
  });
});

describe("two processes on one store", () => {
  it("know each other's leases, revocations and suspensions at once", async () => {
    const options = fileStore(temporaryFolder());
    const first = await openNew(options);
    const second = await openTestKeystead(options);
    await first.keys.create({ name: "k", purpose: "pii" });
    const made = await lease(first);
    const sealed = sealWith(made, "x");
    expect(openWith(await second.leases.open(prefixOf(sealed)), sealed)).toBe("x");
    await second.leases.revoke(made.id);
    const [answer] = await first.leases.renew([{ id: made.id, use: "seal" }]);
    expect(isProblem(answer)).toBe(true);
    await second.keys.suspend("k", 1);
    expect(await codeOf(first.leases.seal("k"))).toBe("KEY_STATE");
  });

  async function openNew(options: Parameters<typeof openTestKeystead>[0]): Promise<Keystead> {
    const { keystead } = await createTestKeystead(options);
    return keystead;
  }
});

describe("any sequence of acts", () => {
  it("leaves every ciphertext openable by the engine, and by leases just what is vouched for", { timeout: 60_000 }, async () => {
    const act = fc.constantFrom("seal", "write", "rotate", "revoke", "release", "serve", "renew");
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 20 }), async (acts) => {
        const { keystead, clock } = await withKey();
        const state = { leases: [] as SealLease[], ended: new Set<string>(), revoked: new Set<string>(), version: 1, leased: 0 };
        const written: { sealed: string; by: SealLease | undefined }[] = [];
        for (const [index, step] of acts.entries()) {
          const newest = state.leases.at(-1);
          if (step === "seal") state.leases.push(await lease(keystead));
          if (step === "rotate") await keystead.keys.rotate("k");
          if (step === "serve") written.push({ sealed: await keystead.encrypt("k", String(index)), by: undefined });
          if (step === "write" && newest !== undefined) written.push({ sealed: sealWith(newest, String(index)), by: newest });
          if (step === "revoke" && newest !== undefined) {
            await keystead.leases.revoke(newest.id);
            state.revoked.add(newest.id);
          }
          if (step === "release" && newest !== undefined) {
            await keystead.leases.release(newest.id, 1);
            state.ended.add(newest.id);
          }
          if (step === "renew") {
            const { currentVersion } = await keystead.keys.show("k");
            const answers = await keystead.leases.renew(state.leases.map(({ id }) => ({ id, use: "seal" })));
            for (const [place, { id, label }] of state.leases.entries()) {
              const good = !state.revoked.has(id) && !state.ended.has(id) && label.startsWith(`${String(currentVersion)}-`);
              expect(isProblem(answers[place])).toBe(!good);
            }
          }
        }
        clock.advance(2 * hour);
        for (const { sealed, by } of written) {
          const plaintext = await keystead.decryptText(sealed);
          const vouched = by !== undefined && !state.revoked.has(by.id);
          const opened = await keystead.leases.open(prefixOf(sealed)).catch(() => undefined);
          expect(opened === undefined ? undefined : openWith(opened, sealed)).toBe(vouched ? plaintext : undefined);
        }
        await keystead.close();
      }),
      { numRuns: 25 },
    );
  });
});
