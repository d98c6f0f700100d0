import { describe, expect, it } from "vitest";
import type { KekCallBounds } from "../../src/kek/kek-call.ts";
import { KekHandle } from "../../src/kek/kek-handle.ts";
import { KekProviders } from "../../src/kek/kek-providers.ts";
import { parseKekUri } from "../../src/kek/kek-uri.ts";
import type { Kek, KekCallOptions, KekProvider, WrapContext, WrappedKey } from "../../src/kek/kek.ts";
import { LocalKekProvider } from "../../src/kek/local/local-kek-provider.ts";
import { KeysteadError } from "../../src/errors.ts";
import { ManualClock, until } from "../audit/support/manual-clock.ts";

const uri = parseKekUri("local:main");
const context: WrapContext = { storeId: "store-1", subject: "store", kekUri: "local:main" };
const key = Buffer.alloc(32, 7);

/** A raw error of a remote provider. */
class Busy extends Error {}

function localProvider(): LocalKekProvider {
  return new LocalKekProvider({ masterKeys: { main: { bytes: Buffer.alloc(32, 1) } } });
}

/** A real local KEK with some of its behaviour exchanged. */
async function kekWith(changes: Partial<Kek>): Promise<Kek> {
  const kek = await localProvider().open(uri, {});
  return {
    kekId: kek.kekId,
    wrapKey: (plain, options) => kek.wrapKey(plain, options),
    unwrapKey: (wrapped, options) => kek.unwrapKey(wrapped, options),
    close: () => kek.close(),
    ...changes,
  };
}

interface HandleParts {
  readonly changes?: Partial<Kek>;
  readonly provider?: Pick<KekProvider, "mapError"> & { isRetryable?(error: unknown): boolean };
  readonly bounds?: Omit<KekCallBounds, "clock">;
}

async function handleWith({ changes = {}, provider = {}, bounds = {} }: HandleParts = {}): Promise<{
  handle: KekHandle;
  clock: ManualClock;
}> {
  const clock = new ManualClock();
  return { handle: new KekHandle(uri, await kekWith(changes), provider, { clock, ...bounds }), clock };
}

/** Never settles and never listens. */
function hang<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

describe("KekHandle", () => {
  it("wraps and unwraps, and tells URI and key id", async () => {
    const { handle } = await handleWith();
    const wrapped = await handle.wrapKey(key, { context });
    expect(Buffer.from(await handle.unwrapKey(wrapped, { context }))).toEqual(key);
    expect(handle.uri).toBe("local:main");
    expect(handle.kekId).toBe(wrapped.kekId);
    expect(handle.derivation).toBeUndefined();
    expect(key).toEqual(Buffer.alloc(32, 7));
  });

  it("leaves no timer behind", async () => {
    const { handle, clock } = await handleWith();
    await handle.wrapKey(key, { context });
    await until(() => clock.waiting === 0);
  });

  it.each([0, 31, 33])("refuses to wrap %i bytes", async (length) => {
    const { handle } = await handleWith();
    await expect(handle.wrapKey(Buffer.alloc(length), { context })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  describe("does not trust the provider", () => {
    const misbehaviour: Record<string, Partial<Kek>> = {
      "that wraps another key": {
        wrapKey: async (_, options) => (await localProvider().open(uri, {})).wrapKey(Buffer.alloc(32, 9), options),
      },
      "whose wrap does not open": { wrapKey: async () => ({ kekId: "main:1", bytes: Buffer.alloc(72) }) },
      "that gives an empty wrap": { wrapKey: async () => ({ kekId: "main:1", bytes: Buffer.alloc(0) }) },
      "that gives a huge wrap": { wrapKey: async () => ({ kekId: "main:1", bytes: Buffer.alloc(70_000) }) },
      "that gives no key id": { wrapKey: async () => ({ kekId: "", bytes: Buffer.alloc(72) }) },
      "that gives a long key id": { wrapKey: async () => ({ kekId: "x".repeat(1025), bytes: Buffer.alloc(72) }) },
      "that gives a key id with a newline": { wrapKey: async () => ({ kekId: "a\nb", bytes: Buffer.alloc(72) }) },
      "that opens to a short key": { unwrapKey: async () => Buffer.alloc(31) },
      "that opens to a long key": { unwrapKey: async () => Buffer.alloc(33) },
    };
    it.each(Object.entries(misbehaviour))("%s", async (_, changes) => {
      const { handle } = await handleWith({ changes });
      const refusal = handle.wrapKey(key, { context });
      await expect(refusal).rejects.toBeInstanceOf(KeysteadError);
      await expect(refusal).rejects.toMatchObject({ code: expect.stringMatching(/KEK_FAILED|WRONG_MASTER_KEY/) as string });
    });

    it("that has no key id", async () => {
      const kek = await kekWith({ kekId: "" });
      expect(() => new KekHandle(uri, kek, {}, { clock: new ManualClock() })).toThrow(expect.objectContaining({ code: "KEK_FAILED" }));
    });

    it("with the caller's context", async () => {
      const { handle } = await handleWith({
        changes: {
          wrapKey: async (plain, options) => {
            Object.assign(options.context, { subject: "other" });
            return (await localProvider().open(uri, {})).wrapKey(plain, options);
          },
        },
      });
      await expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_FAILED" });
      expect(context.subject).toBe("store");
    });
  });

  describe("errors", () => {
    const fail = (error: Error): Partial<Kek> => ({ wrapKey: () => Promise.reject(error) });

    it("become what the provider says", async () => {
      const provider: Pick<KekProvider, "mapError"> = {
        mapError: (cause) => (cause instanceof Busy ? new KeysteadError("WRONG_MASTER_KEY", "mapped", { cause }) : undefined),
      };
      const busy = new Busy("raw");
      const { handle } = await handleWith({ changes: fail(busy), provider });
      await expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "WRONG_MASTER_KEY", cause: busy });
    });

    it.each<[string, KekProvider["mapError"]]>([
      ["there is no mapping", undefined],
      ["the mapping doesn't know it", () => undefined],
      [
        "the mapping fails itself",
        () => {
          throw new Error("mapping failed");
        },
      ],
    ])("become KEK_FAILED with the cause when %s", async (_, mapError) => {
      const raw = new Error("raw");
      const { handle } = await handleWith({ changes: fail(raw), provider: mapError === undefined ? {} : { mapError } });
      await expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_FAILED", cause: raw });
    });

    it("become KEK_FAILED around what a mapping returns that is not typed", async () => {
      const mapped = new Error("still raw");
      const { handle } = await handleWith({ changes: fail(new Error("raw")), provider: { mapError: () => mapped } });
      await expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_FAILED", cause: mapped });
    });

    it("that are typed already pass", async () => {
      const typed = new KeysteadError("UNKNOWN_KEK", "no such key");
      const { handle } = await handleWith({ changes: fail(typed) });
      await expect(handle.wrapKey(key, { context })).rejects.toBe(typed);
    });
  });

  describe("retries", () => {
    function flaky(failures: number): { changes: Partial<Kek>; calls: () => number } {
      let calls = 0;
      const wrapKey = async (plain: Uint8Array, options: KekCallOptions): Promise<WrappedKey> => {
        if (++calls <= failures) throw new Busy("busy");
        return (await localProvider().open(uri, {})).wrapKey(plain, options);
      };
      return { changes: { wrapKey }, calls: () => calls };
    }
    const provider = { isRetryable: (error: unknown) => error instanceof Busy };

    it("what the provider calls retryable, waiting longer each time", async () => {
      const { changes, calls } = flaky(3);
      const { handle, clock } = await handleWith({ changes, provider });
      const wrapped = handle.wrapKey(key, { context });
      for (const [index, delay] of [100, 200, 400].entries()) {
        await until(() => calls() === index + 1 && clock.waiting === 2);
        clock.advance(delay - 1);
        expect(calls()).toBe(index + 1);
        clock.advance(1);
      }
      expect((await wrapped).kekId).toBe(handle.kekId);
      expect(calls()).toBe(4);
    });

    it("no more often than allowed", async () => {
      const { changes, calls } = flaky(9);
      const { handle, clock } = await handleWith({ changes, provider, bounds: { attempts: 2 } });
      const refusal = expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_FAILED" });
      await until(() => clock.waiting === 2);
      clock.advance(100);
      await refusal;
      expect(calls()).toBe(2);
    });

    it("nothing that the provider does not name", async () => {
      const { changes, calls } = flaky(1);
      const { handle } = await handleWith({ changes, provider: { isRetryable: () => false } });
      await expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_FAILED" });
      const silent = flaky(1);
      const { handle: other } = await handleWith({ changes: silent.changes });
      await expect(other.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_FAILED" });
      expect([calls(), silent.calls()]).toEqual([1, 1]);
    });

    it("stop with the time-out", async () => {
      const { changes, calls } = flaky(99);
      const { handle, clock } = await handleWith({ changes, provider, bounds: { attempts: 99, retryDelay: 600, timeout: 1000 } });
      const refusal = expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_TIMEOUT" });
      await until(() => clock.waiting === 2);
      clock.advance(600);
      await until(() => calls() === 2 && clock.waiting === 2);
      clock.advance(400);
      await refusal;
      expect(calls()).toBe(2);
    });
  });

  describe("ends a call", () => {
    it("after the time-out, though the provider does not listen", async () => {
      const { handle, clock } = await handleWith({ changes: { wrapKey: hang }, bounds: { timeout: 500 } });
      const refusal = expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_TIMEOUT" });
      await until(() => clock.waiting === 1);
      clock.advance(500);
      await refusal;
    });

    it("and tells the provider", async () => {
      let seen: AbortSignal | undefined;
      const wrapKey = (_: Uint8Array, { signal }: KekCallOptions): Promise<WrappedKey> => {
        seen = signal;
        return hang();
      };
      const { handle, clock } = await handleWith({ changes: { wrapKey }, bounds: { timeout: 500 } });
      const refusal = expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "KEK_TIMEOUT" });
      await until(() => clock.waiting === 1);
      expect(seen?.aborted).toBe(false);
      clock.advance(500);
      await refusal;
      expect(seen?.aborted).toBe(true);
    });

    it("when the caller aborts, before or meanwhile", async () => {
      const { handle, clock } = await handleWith({ changes: { wrapKey: hang } });
      const reason = new Error("the user left");
      await expect(handle.wrapKey(key, { context, signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
        code: "CANCELLED",
        cause: reason,
      });
      const controller = new AbortController();
      const refusal = expect(handle.wrapKey(key, { context, signal: controller.signal })).rejects.toMatchObject({ code: "CANCELLED" });
      await until(() => clock.waiting === 1);
      controller.abort();
      await refusal;
    });

    it("when it is closed meanwhile", async () => {
      const { handle, clock } = await handleWith({ changes: { unwrapKey: hang } });
      const refusal = expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "CLOSED" });
      await until(() => clock.waiting === 1);
      await handle.close();
      await refusal;
    });

    it("and wipes a key that arrives too late", async () => {
      const late = Promise.withResolvers<Uint8Array>();
      const { handle, clock } = await handleWith({ changes: { unwrapKey: () => late.promise }, bounds: { timeout: 500 } });
      const refusal = expect(handle.unwrapKey({ kekId: handle.kekId, bytes: Buffer.alloc(72) }, { context })).rejects.toMatchObject({
        code: "KEK_TIMEOUT",
      });
      await until(() => clock.waiting === 1);
      clock.advance(500);
      await refusal;
      const opened = Buffer.alloc(32, 5);
      late.resolve(opened);
      await until(() => opened.equals(Buffer.alloc(32)));
    });
  });

  it("refuses everything once closed, and closes once", async () => {
    let closed = 0;
    const { handle } = await handleWith({
      changes: {
        close: async () => {
          closed++;
        },
      },
    });
    const wrapped = await handle.wrapKey(key, { context });
    await handle.close();
    await handle.close();
    expect(closed).toBe(1);
    await expect(handle.wrapKey(key, { context })).rejects.toMatchObject({ code: "CLOSED" });
    await expect(handle.unwrapKey(wrapped, { context })).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("KekProviders", () => {
  it("opens by scheme, loading each provider once", async () => {
    let loads = 0;
    const local = async (): Promise<KekProvider> => {
      loads++;
      return localProvider();
    };
    const providers = new KekProviders({ local }, { clock: new ManualClock() });
    const [one, two] = await Promise.all([providers.open("local:main"), providers.open(uri)]);
    expect(one.kekId).toBe(two.kekId);
    expect(loads).toBe(1);
  });

  it("names the schemes it knows when asked for another", async () => {
    const load = async (): Promise<KekProvider> => localProvider();
    const providers = new KekProviders({ openbao: load, local: load }, { clock: new ManualClock() });
    expect(providers.schemes).toEqual(["local", "openbao"]);
    for (const text of ["awskms:///alias/k", "constructor:x"]) {
      const refusal = providers.open(text);
      await expect(refusal).rejects.toMatchObject({ code: "UNKNOWN_KEK" });
      await expect(refusal).rejects.toThrow("local, openbao");
    }
    await expect(providers.open("no uri")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("tries again after a provider could not be loaded", async () => {
    let loads = 0;
    const local = async (): Promise<KekProvider> => {
      if (++loads === 1) throw new Error("Cannot find package");
      return localProvider();
    };
    const providers = new KekProviders({ local }, { clock: new ManualClock() });
    await expect(providers.open("local:main")).rejects.toMatchObject({ code: "KEK_FAILED" });
    expect((await providers.open("local:main")).uri).toBe("local:main");
  });

  it("maps what opening throws, and bounds it", async () => {
    const clock = new ManualClock();
    const failing: KekProvider = {
      scheme: "local",
      open: () => Promise.reject(new Busy("raw")),
      mapError: () => new KeysteadError("INSECURE_FILE", "mapped"),
    };
    await expect(new KekProviders({ local: async () => failing }, { clock }).open("local:main")).rejects.toMatchObject({
      code: "INSECURE_FILE",
    });
    const hanging: KekProvider = { scheme: "local", open: hang };
    const refusal = expect(new KekProviders({ local: async () => hanging }, { clock }).open("local:main")).rejects.toMatchObject({
      code: "KEK_TIMEOUT",
    });
    await until(() => clock.waiting === 1);
    clock.advance(10_000);
    await refusal;
  });

  it("closes a KEK that opens after the call was given up", async () => {
    const clock = new ManualClock();
    const late = Promise.withResolvers<Kek>();
    const providers = new KekProviders({ local: async () => ({ scheme: "local", open: () => late.promise }) }, { clock });
    const refusal = expect(providers.open("local:main")).rejects.toMatchObject({ code: "KEK_TIMEOUT" });
    await until(() => clock.waiting === 1);
    clock.advance(10_000);
    await refusal;
    let closed = false;
    late.resolve(
      await kekWith({
        close: async () => {
          closed = true;
        },
      }),
    );
    await until(() => closed);
  });

  it("hands the derivation to the provider and back", async () => {
    const derivation = "argon2id:m=19456,t=2,p=1:AAECAwQFBgcICQoLDA0ODw";
    const provider = new LocalKekProvider({ masterKeys: { main: { passphrase: "a long passphrase" } } });
    const handle = await new KekProviders({ local: async () => provider }, { clock: new ManualClock() }).open("local:main", { derivation });
    expect(handle.derivation).toBe(derivation);
  });
});
