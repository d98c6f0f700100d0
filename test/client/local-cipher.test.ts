import { describe, expect, it, onTestFinished } from "vitest";
import type { Caller } from "../../src/access/caller.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { LocalCipher, type LocalOptions, type LocalServer } from "../../src/client/local-cipher.ts";
import { KeysteadError } from "../../src/errors.ts";
import type { Keystead } from "../../src/keystead.ts";
import { apiPlaces } from "../support/api-places.ts";
import type { TestClock } from "../support/test-clock.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

const context = { table: "person", column: "email" };
const hour = 3_600_000;

type Calls = Record<"seal" | "open" | "renew" | "release" | "decrypt", number>;

/** What a test changes of the leases that a server gives. */
interface Altered {
  readonly messages?: number;
  readonly bytes?: number;
  /** Called before each call; what it throws is the call's failure. */
  readonly before?: (call: keyof Calls) => Promise<void> | void;
}

/** A server whose calls are counted, and can fail. */
function counted(engine: LocalServer, altered: Altered = {}): { readonly server: LocalServer; readonly calls: Calls } {
  const calls: Calls = { seal: 0, open: 0, renew: 0, release: 0, decrypt: 0 };
  const { before, ...bounds } = altered;
  const call = async <T>(name: keyof Calls, work: () => Promise<T>): Promise<T> => {
    calls[name] += 1;
    await before?.(name);
    return work();
  };
  const { leases } = engine;
  const server: LocalServer = {
    leases: {
      seal: (...args) => call("seal", async () => ({ ...(await leases.seal(...args)), ...bounds })),
      open: (...args) => call("open", () => leases.open(...args)),
      renew: (...args) => call("renew", () => leases.renew(...args)),
      release: (...args) => call("release", () => leases.release(...args)),
    },
    decrypt: (...args) => call("decrypt", () => engine.decrypt(...args)),
    decryptValue: (...args) => call("decrypt", () => engine.decryptValue(...args)),
  };
  return { server, calls };
}

interface Made {
  readonly keystead: Keystead;
  readonly clock: TestClock;
  readonly local: LocalCipher;
  readonly calls: Calls;
}

async function makeLocal(options: LocalOptions = {}, altered: Altered = {}): Promise<Made> {
  const { keystead, clock } = await createTestKeystead();
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const { server, calls } = counted(keystead, altered);
  const local = new LocalCipher(server, "k", { clock, ...options });
  return { keystead, clock, local, calls };
}

/** Lets what was started in the background come to its end. */
async function settled(condition: () => boolean): Promise<void> {
  await expect.poll(condition).toBe(true);
}

describe.each(Object.entries(apiPlaces).filter(([name]) => name !== "embedded"))("local mode by %s", (_, openPlace) => {
  it("makes what the engine opens, and opens what it made", async () => {
    const { api, engine } = await openPlace();
    if (!(api instanceof KeysteadClient)) throw new TypeError("this place has a client");
    await engine.keys.create({ name: "k", purpose: "pii" });
    await engine.purposes.set("pii", { defaultKey: "k" });
    const local = api.local({ purpose: "pii" });
    const sealed = await local.encrypt("grüße 😀", { context });
    expect(sealed).toMatch(/^ks1:k:1-/);
    expect(await engine.decryptText(sealed, { context })).toBe("grüße 😀");
    expect(await api.decryptText(sealed, { context })).toBe("grüße 😀");
    expect(await local.decryptText(sealed, { context })).toBe("grüße 😀");
    expect(await codeOf(local.decryptText(sealed))).toBe("DECRYPTION_FAILED");
    for (const value of ["x", 7n, new Date(0), Uint8Array.of(1), { a: [null] }]) {
      const typed = await local.encryptValue(value, { context });
      expect(await local.decryptValue(typed, { context })).toEqual(value);
      expect(await engine.decryptValue(typed, { context })).toEqual(value);
    }
    const bytes = await local.encrypt(Uint8Array.of(0, 255));
    expect([...(await local.decrypt(bytes))]).toEqual([0, 255]);
    expect(await codeOf(local.decryptText(bytes))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(local.decryptValue(bytes))).toBe("DECRYPTION_FAILED");
    const served = await engine.encrypt("k", "served", { context });
    expect(await local.decryptText(served, { context })).toBe("served");
    expect(await local.decryptText(await engine.encryptBytes("k", "binary"))).toBe("binary");
    expect(await local.decryptValue(await engine.encryptValue("k", 8n))).toBe(8n);
    expect(await codeOf(api.local("k", { served: false }).decrypt(served, { context }))).toBe("UNKNOWN_LEASE");
    expect(await codeOf(api.local("nothing").encrypt("x"))).toBe("UNKNOWN_KEY");
    await local.close();
    expect((await engine.keys.usage("k", 1)).sealsOutsideDatasets).toBe(10);
    expect(await codeOf(local.encrypt("x"))).toBe("CLOSED");
    expect(await codeOf(local.decrypt(sealed))).toBe("CLOSED");
    const revoked = await api.leases.seal("k");
    expect((await api.leases.list({ key: "k" })).map(({ id }) => id)).toContain(revoked.id);
    expect((await api.leases.revoke(revoked.id, { reason: "test" })).state).toBe("revoked");
    expect((await api.leases.show(revoked.id)).state).toBe("revoked");
  });
});

describe("what local mode asks the server for", () => {
  it("is one lease for a hundred concurrent calls, and one for each opened prefix", async () => {
    const { keystead, local, calls } = await makeLocal();
    const sealed = await Promise.all(Array.from({ length: 100 }, (_, index) => local.encrypt(String(index))));
    expect(calls.seal).toBe(1);
    expect(new Set(sealed).size).toBe(100);
    const opened = await Promise.all(sealed.map((text) => local.decryptText(text)));
    expect(opened).toEqual(Array.from({ length: 100 }, (_, index) => String(index)));
    expect(calls).toMatchObject({ seal: 1, open: 1, renew: 0, decrypt: 0 });
    await local.close();
    const acts = (await keystead.audit.show({ action: "leases.create" })).map(({ detail }) => detail);
    expect(acts).toMatchObject([{ act: "seal" }, { act: "open" }, { act: "release" }]);
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(100);
  });

  it("is nothing twice for what the server sealed itself", async () => {
    const { keystead, local, calls } = await makeLocal();
    const served = await keystead.encrypt("k", "x");
    for (let round = 0; round < 3; round += 1) expect(await local.decryptText(served)).toBe("x");
    expect(calls).toMatchObject({ open: 1, decrypt: 3 });
    await keystead.keys.create({ name: "gcm", purpose: "pii", algorithm: "AES-256-GCM" });
    for (let round = 0; round < 3; round += 1) expect(await local.decryptText(await keystead.encrypt("gcm", "y"))).toBe("y");
    expect(calls).toMatchObject({ open: 2, decrypt: 6 });
  });

  it("is bounded: keys that were not used for longest go", async () => {
    const { local, calls } = await makeLocal({ openingLeases: 2 }, { messages: 1 });
    const sealed: string[] = [];
    for (const text of ["a", "b", "c"]) {
      sealed.push(await local.encrypt(text));
    }
    for (const text of [...sealed, ...sealed.slice(1)]) await local.decrypt(text);
    expect(calls.open).toBe(3);
    await local.decrypt(sealed[0] ?? "");
    expect(calls.open).toBe(4);
  });
});

describe("a sealing lease in use", () => {
  it("ends after its messages; the next is fetched before", async () => {
    const { local, calls } = await makeLocal({}, { messages: 16 });
    for (let index = 0; index < 13; index += 1) await local.encrypt("x");
    expect(calls.seal).toBe(1);
    await local.encrypt("x");
    await settled(() => calls.release === 1);
    expect(calls.seal).toBe(2);
    for (let index = 0; index < 40; index += 1) await local.encrypt("x");
    expect(calls.seal).toBeLessThanOrEqual(6);
  });

  it("never seals more than its messages, also when none can be fetched ahead", async () => {
    let down = false;
    const { local, calls } = await makeLocal(
      {},
      {
        messages: 16,
        before: (call) => {
          if (down && call === "seal") throw new KeysteadError("SERVER_UNREACHABLE", "down");
        },
      },
    );
    await local.encrypt("x");
    down = true;
    for (let index = 1; index < 16; index += 1) await local.encrypt("x");
    expect(calls.seal).toBe(2);
    expect(await codeOf(local.encrypt("x"))).toBe("SERVER_UNREACHABLE");
    down = false;
    await local.encrypt("x");
  });

  it("ends after its bytes", async () => {
    const { local, calls } = await makeLocal({}, { bytes: 100 });
    await local.encrypt("x".repeat(60));
    await local.encrypt("x".repeat(60));
    expect(calls.seal).toBe(2);
    expect(await codeOf(local.encrypt("x".repeat(101)))).toBe("KEY_LEASE_EXPIRED");
  });

  it("ends after an hour, and when a clock jumps", async () => {
    const { local, calls, clock } = await makeLocal();
    await local.encrypt("x");
    clock.advance(hour - 1);
    await local.encrypt("x");
    await settled(() => calls.release === 1);
    expect(calls.seal).toBe(2);
    clock.advance(hour);
    await local.encrypt("x");
    expect(calls.seal).toBe(3);
    clock.jump(5_000);
    await local.encrypt("x");
    expect(calls.seal).toBe(4);
  });

  it("is refused for a context that is none before it counts", async () => {
    const { local, keystead } = await makeLocal();
    expect(await codeOf(local.encrypt("x", { context: { "": "empty name" } }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(local.encrypt("a\ud800"))).toBe("INVALID_ARGUMENT");
    await local.close();
    // A lease that was taken counts as one message at least.
    expect((await keystead.keys.usage("k", 1)).sealsOutsideDatasets).toBe(1);
  });
});

describe("whether a lease holds", () => {
  it("is asked in the background while it is used, and at most every 30 s", async () => {
    const { local, calls, clock } = await makeLocal();
    for (let step = 0; step < 6; step += 1) {
      await local.encrypt("x");
      clock.advance(10_000);
    }
    expect(calls.renew).toBe(1);
    clock.advance(10_000);
    await local.encrypt("x");
    await settled(() => calls.renew === 2);
    clock.advance(600_000);
    await Promise.all(Array.from({ length: 100 }, () => local.encrypt("x")));
    expect(calls.renew).toBe(3);
    expect(calls.seal).toBe(1);
  });

  it("ends sealing and opening within 60 s of a revocation", async () => {
    const { keystead, local, calls, clock } = await makeLocal({ served: false });
    const sealed = await local.encrypt("x");
    await local.decrypt(sealed);
    const [lease] = await keystead.leases.list();
    await keystead.leases.revoke(lease?.id ?? "");
    clock.advance(60_000);
    expect(await codeOf(local.decrypt(sealed))).toBe("UNKNOWN_LEASE");
    const next = await local.encrypt("y");
    expect(calls.seal).toBe(2);
    expect(next.slice(0, next.lastIndexOf(":") + 17)).not.toBe(sealed.slice(0, sealed.lastIndexOf(":") + 17));
  });

  it("ends sealing under a version that is suspended, and moves to one that is rotated to", async () => {
    const { keystead, local, clock } = await makeLocal({ served: false });
    const sealed = await local.encrypt("x");
    await local.decrypt(sealed);
    await keystead.keys.rotate("k");
    clock.advance(60_000);
    expect(await local.encrypt("x")).toMatch(/^ks1:k:2-/);
    expect(await local.decryptText(sealed)).toBe("x");
    await keystead.keys.suspend("k", 2);
    await keystead.keys.suspend("k", 1);
    clock.advance(60_000);
    expect(await codeOf(local.encrypt("x"))).toBe("KEY_STATE");
    expect(await codeOf(local.decrypt(sealed))).toBe("KEY_STATE");
  });

  it("fails closed when the server can't be asked for 60 s, and goes on when it can again", async () => {
    let down = false;
    const before = (): void => {
      if (down) throw new KeysteadError("SERVER_UNREACHABLE", "down");
    };
    const { local, calls, clock } = await makeLocal({ served: false }, { before });
    const sealed = await local.encrypt("x");
    await local.decrypt(sealed);
    down = true;
    clock.advance(59_999);
    await local.encrypt("x");
    await local.decrypt(sealed);
    clock.advance(1);
    expect(await codeOf(local.encrypt("x"))).toBe("KEY_LEASE_EXPIRED");
    expect(await codeOf(local.decrypt(sealed))).toBe("KEY_LEASE_EXPIRED");
    down = false;
    await local.encrypt("x");
    expect(await local.decryptText(sealed)).toBe("x");
    expect(calls.seal).toBe(1);
    expect(calls.open).toBe(1);
  });

  it.each(["encrypt", "decrypt"] as const)("is asked no more for %s once the cipher is closed", async (act) => {
    const late = Promise.withResolvers<undefined>();
    let asked = 0;
    const { local, clock } = await makeRenewed(async (answers) => {
      asked += 1;
      if (asked > 1) throw new KeysteadError("SERVER_UNREACHABLE", "asked again");
      await late.promise;
      return answers;
    });
    const sealed = await local.encrypt("x");
    await local.decrypt(sealed);
    clock.advance(60_000);
    const code = codeOf(act === "encrypt" ? local.encrypt("y") : local.decrypt(sealed));
    await settled(() => asked === 1);
    // The answer is too old by the time that it is there.
    clock.advance(60_000);
    await local.close();
    late.resolve(undefined);
    expect(await code).toBe("CLOSED");
    expect(asked).toBe(1);
  });

  it("is no matter of what may pass for another one that was asked about together", async () => {
    const busy = { problem: new KeysteadError("STORE_BUSY", "not now") };
    const { local, clock } = await makeRenewed(async (answers, asked) =>
      answers.map((answer, place) => (asked[place]?.use === "open" ? busy : answer)),
    );
    const sealed = await local.encrypt("x");
    await local.decrypt(sealed);
    clock.advance(60_000);
    expect(await codeOf(local.encrypt("y"))).toBe("no error");
    expect(await codeOf(local.decrypt(sealed))).toBe("KEY_LEASE_EXPIRED");
  });

  type Renew = LocalServer["leases"]["renew"];
  type Answers = Awaited<ReturnType<Renew>>;

  /** A cipher whose server says of leases what a test makes of it. */
  async function makeRenewed(told: (answers: Answers, asked: Parameters<Renew>[0]) => Promise<Answers>): Promise<Omit<Made, "calls">> {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const { server } = counted(keystead);
    const renew: Renew = async (asked) => told(await server.leases.renew(asked), asked);
    const local = new LocalCipher({ ...server, leases: { ...server.leases, renew } }, "k", { clock, served: false });
    onTestFinished(() => local.close());
    return { keystead, clock, local };
  }
});

describe("policies in local mode", () => {
  it("with context conditions are kept: nothing is leased, served calls go on", async () => {
    const { keystead, clock } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.policies.create({ effect: "allow", subject: "os-user:anna", actions: ["leases.create", "data.encrypt"] });
    await keystead.policies.create({ effect: "allow", subject: "*", actions: ["data.decrypt"], context: { tenant: ["a"] } });
    const anna: Caller = { principal: { source: "os-user", id: "anna" }, request: { id: "r1" } };
    const { server, calls } = counted({ ...apiOf(keystead, anna) });
    const local = new LocalCipher(server, "k", { clock });
    const [a, b] = [await local.encrypt("x", { context: { tenant: "a" } }), await local.encrypt("x", { context: { tenant: "b" } })];
    expect(await local.decryptText(a, { context: { tenant: "a" } })).toBe("x");
    expect(await codeOf(local.decryptText(b, { context: { tenant: "b" } }))).toBe("ACCESS_DENIED");
    expect(calls).toMatchObject({ seal: 1, open: 1, decrypt: 2 });
    await keystead.policies.create({ effect: "deny", subject: "*", actions: ["data.encrypt"], context: { tenant: ["b"] } });
    clock.advance(60_000);
    expect(await codeOf(local.encrypt("x", { context: { tenant: "a" } }))).toBe("ACCESS_DENIED");
  });

  function apiOf(keystead: Keystead, caller: Caller): LocalServer {
    return {
      leases: keystead.as(caller).leases,
      decrypt: (...args) => keystead.as(caller).decrypt(...args),
      decryptValue: (...args) => keystead.as(caller).decryptValue(...args),
    };
  }
});

describe("two servers on one store", () => {
  it("open each other's leases", async () => {
    const options = fileStore(temporaryFolder());
    const { keystead: first } = await createTestKeystead(options);
    const second = await openTestKeystead(options);
    await first.keys.create({ name: "k", purpose: "pii" });
    const [here, there] = [new LocalCipher(first, "k", { served: false }), new LocalCipher(second, "k", { served: false })];
    onTestFinished(async () => {
      await here.close();
      await there.close();
    });
    expect(await there.decryptText(await here.encrypt("x"))).toBe("x");
    expect(await here.decryptText(await there.encrypt("y"))).toBe("y");
  });
});

describe("a local cipher", () => {
  it("says what is wrong with its options and arguments", async () => {
    const { keystead, local } = await makeLocal();
    for (const openingLeases of [0, 901, 1.5]) {
      expect(await codeOf(() => new LocalCipher(keystead, "k", { openingLeases }))).toBe("INVALID_ARGUMENT");
    }
    expect(await codeOf(local.decrypt("plaintext"))).toBe("MALFORMED_CIPHERTEXT");
    expect(await codeOf(local.decrypt("ks1:k:1-aaaaaa:AAAA"))).toBe("MALFORMED_CIPHERTEXT");
    await local.close();
    await local.close();
  });
});
