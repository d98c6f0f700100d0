import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { codeOf, testMasterKeys } from "../support/test-keystead.ts";

const refreshBound = 20;
const waitingDays = 7;

/** What the model knows of a version. Written from the states table of the design, not from the code. */
interface ModelVersion {
  state: "pre-active" | "active" | "suspended" | "deactivated" | "compromised" | "destruction-pending" | "destroyed";
  /** What it is again when its destruction is cancelled. */
  retired: "deactivated" | "compromised";
  activateAt: number;
  expiresAt: number;
  scheduledAt: number;
  lastRefusedAt: number;
  seals: number;
}

/** One key, as it should be. */
class Model {
  versions: ModelVersion[] = [];
  current = 0;
  sealed: { readonly text: string; readonly version: number }[] = [];

  version(number: number): ModelVersion | undefined {
    return this.versions[number - 1];
  }

  /** Number of a version that is there, and now and then of one that is not. */
  pick(choice: number): number {
    return choice === 0 ? this.versions.length + 1 : 1 + (choice % this.versions.length);
  }

  add(now: number, activateAt: number, expiresAt: number): void {
    const state = activateAt > now ? "pre-active" : "active";
    this.versions.push({ state, retired: "deactivated", activateAt, expiresAt, scheduledAt: 0, lastRefusedAt: 0, seals: 0 });
    if (state === "active") this.current = this.versions.length;
  }

  /** Everything whose date has come. */
  settle(now: number): void {
    for (const [index, version] of this.versions.entries()) {
      if (version.state !== "pre-active" || version.activateAt > now) continue;
      version.state = "active";
      this.current = Math.max(this.current, index + 1);
    }
  }
}

interface Real {
  readonly keystead: Keystead;
  readonly clock: TestClock;
}

type Command = fc.AsyncCommand<Model, Real, true>;

/** A command that ends with a look at the whole key. */
function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    check: () => Promise.resolve(true),
    run: async (model, real) => {
      await run(model, real);
      const key = await real.keystead.keys.show("k");
      expect(key.versions.map(({ state }) => state)).toEqual(model.versions.map(({ state }) => state));
      expect(key.currentVersion ?? 0).toBe(model.current);
    },
    toString: () => name,
  };
}

interface Dates {
  /** Days from now; undefined: none. */
  readonly active: number | undefined;
  readonly expires: number | undefined;
}

function datesOf({ active, expires }: Dates, now: number) {
  return {
    ...(active !== undefined && { activateAt: new Date(now + active * day) }),
    ...(expires !== undefined && { expiresAt: new Date(now + expires * day) }),
  };
}

function isValid({ active, expires }: Dates): boolean {
  if (active !== undefined && active < 0) return false;
  return expires === undefined || (expires > 0 && (active === undefined || expires > active));
}

const rotate = (dates: Dates): Command =>
  command(`rotate(${JSON.stringify(dates)})`, async (model, { keystead, clock }) => {
    const now = clock.now();
    const code = await codeOf(keystead.keys.rotate("k", datesOf(dates, now)));
    if (!isValid(dates)) {
      expect(code).toBe("INVALID_ARGUMENT");
      return;
    }
    expect(code).toBe("no error");
    model.add(now, now + (dates.active ?? 0) * day, dates.expires === undefined ? Infinity : now + dates.expires * day);
  });

type Change = "activate" | "suspend" | "resume" | "deactivate" | "compromise";

const transitions: Readonly<Record<Change, { readonly from: readonly ModelVersion["state"][]; readonly to: ModelVersion["state"] }>> = {
  activate: { from: ["pre-active"], to: "active" },
  suspend: { from: ["active"], to: "suspended" },
  resume: { from: ["suspended"], to: "active" },
  deactivate: { from: ["active", "suspended"], to: "deactivated" },
  compromise: { from: ["pre-active", "active", "suspended", "deactivated"], to: "compromised" },
};

const change = (name: Change, choice: number): Command =>
  command(`${name}(${String(choice)})`, async (model, { keystead }) => {
    const number = model.pick(choice);
    const version = model.version(number);
    const code = await codeOf(keystead.keys[name]("k", number));
    if (version === undefined) {
      expect(code).toBe("UNKNOWN_KEY_VERSION");
      return;
    }
    if (!transitions[name].from.includes(version.state)) {
      expect(code).toBe("KEY_STATE");
      return;
    }
    expect(code).toBe("no error");
    version.state = transitions[name].to;
    if (name === "activate") model.current = Math.max(model.current, number);
  });

/** What a destruction says: an error's code, or what it has done. */
function destroyed(model: Model, number: number, now: number): string {
  const version = model.version(number);
  if (version === undefined) return "UNKNOWN_KEY_VERSION";
  if (version.state === "destroyed") return "KEY_STATE";
  if (version.state === "active" && model.current === number) return "VERSION_IN_USE";
  const pending = version.state === "destruction-pending";
  if (pending && now < version.scheduledAt + waitingDays * day) return "DESTRUCTION_WAITING";
  if (version.seals > 0 || (pending && version.lastRefusedAt > version.scheduledAt)) return "VERSION_IN_USE";
  if (pending || version.state === "pre-active") {
    version.state = "destroyed";
    return "destroyed";
  }
  version.retired = version.state === "compromised" ? "compromised" : "deactivated";
  version.state = "destruction-pending";
  version.scheduledAt = now;
  return "scheduled";
}

const destroy = (choice: number): Command =>
  command(`destroy(${String(choice)})`, async (model, { keystead, clock }) => {
    const number = model.pick(choice);
    const expected = destroyed(model, number, clock.now());
    let outcome = "";
    const code = await codeOf(keystead.keys.destroy("k", number).then(({ status }) => (outcome = status)));
    expect(code === "no error" ? outcome : code).toBe(expected);
  });

const cancel = (choice: number): Command =>
  command(`cancel(${String(choice)})`, async (model, { keystead }) => {
    const number = model.pick(choice);
    const version = model.version(number);
    const code = await codeOf(keystead.keys.cancelDestroy("k", number));
    if (version?.state !== "destruction-pending") {
      expect(code).toBe(version === undefined ? "UNKNOWN_KEY_VERSION" : "KEY_STATE");
      return;
    }
    expect(code).toBe("no error");
    version.state = version.retired;
  });

const encrypt = (): Command =>
  command("encrypt", async (model, { keystead, clock }) => {
    const version = model.version(model.current);
    let text = "";
    const code = await codeOf(keystead.encrypt("k", `value ${String(model.sealed.length)}`).then((sealed) => (text = sealed)));
    if (version?.state !== "active") expect(code).toBe("KEY_STATE");
    else if (clock.now() >= version.expiresAt) expect(code).toBe("KEY_VERSION_EXPIRED");
    else {
      expect(code).toBe("no error");
      expect(text.split(":")[2]).toMatch(new RegExp(`^${String(model.current)}-`));
      model.sealed.push({ text, version: model.current });
      version.seals += 1;
    }
  });

const decrypt = (choice: number): Command =>
  command(`decrypt(${String(choice)})`, async (model, { keystead, clock }) => {
    const index = choice % Math.max(1, model.sealed.length);
    const sealed = model.sealed[index];
    const version = sealed && model.version(sealed.version);
    if (sealed === undefined || version === undefined) return;
    let text = "";
    const code = await codeOf(keystead.decryptText(sealed.text).then((opened) => (text = opened)));
    if (version.state === "active" || version.state === "deactivated") {
      expect([code, text]).toEqual(["no error", `value ${String(index)}`]);
      return;
    }
    expect(code).toBe("KEY_STATE");
    version.lastRefusedAt = clock.now();
  });

/** Somebody tries to open what he has of a version, here forged. */
const knock = (choice: number): Command =>
  command(`knock(${String(choice)})`, async (model, { keystead, clock }) => {
    const number = model.pick(choice);
    const version = model.version(number);
    const label = (await keystead.keys.show("k")).versions[number - 1]?.label ?? `${String(number)}-aaaaaa`;
    const code = await codeOf(keystead.decrypt(`ks1:k:${label}:${"A".repeat(80)}`));
    const opens = version?.state === "active" || version?.state === "deactivated";
    expect(code).toBe(version === undefined ? "UNKNOWN_FINGERPRINT" : opens ? "DECRYPTION_FAILED" : "KEY_STATE");
    if (version !== undefined && !opens && version.state !== "pre-active") version.lastRefusedAt = clock.now();
  });

const advance = (days: number): Command =>
  command(`advance(${String(days)})`, async (model, { keystead, clock }) => {
    clock.advance(days * day);
    model.settle(clock.now());
    const states = model.versions.map(({ state }) => state);
    const settled = { timeout: 5000, interval: 2 };
    await vi.waitFor(async () => expect((await keystead.keys.show("k")).versions.map(({ state }) => state)).toEqual(states), settled);
    clock.advance(refreshBound);
    await vi.waitFor(async () => expect((await keystead.keys.show("k")).currentVersion ?? 0).toBe(model.current), settled);
    await keystead.refresh();
  });

const choice = fc.nat({ max: 30 });
const dates = fc.record({
  active: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 2 }),
  expires: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 1 }),
});
const changes = fc.tuple(fc.constantFrom<Change[]>("activate", "activate", "suspend", "resume", "deactivate", "compromise"), choice);

describe("a key's life", () => {
  it("is what the states table says, whatever happens in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(
        dates.filter(isValid),
        fc.commands(
          [
            dates.map(rotate),
            changes.map(([name, chosen]) => change(name, chosen)),
            changes.map(([name, chosen]) => change(name, chosen)),
            choice.map(destroy),
            choice.map(cancel),
            fc.constant(encrypt()),
            fc.constant(encrypt()),
            choice.map(decrypt),
            choice.map(knock),
            fc.constantFrom(1, 2, 7).map(advance),
          ],
          { maxCommands: 60, size: "max" },
        ),
        async (birth, commands) => {
          const clock = new TestClock();
          const keystead = await initKeystead({ store: "memory:", masterKeys: testMasterKeys, clock, settings: { refreshBound } });
          try {
            const now = clock.now();
            await keystead.keys.create({ name: "k", purpose: "pii", ...datesOf(birth, now) });
            const model = new Model();
            model.add(now, now + (birth.active ?? 0) * day, birth.expires === undefined ? Infinity : now + birth.expires * day);
            await fc.asyncModelRun(() => ({ model, real: { keystead, clock } }), commands);
          } finally {
            await keystead.close();
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
