import { expect, it, vi } from "vitest";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { startChild } from "../support/child.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

const program = new URL("rotating-process.ts", import.meta.url);

/** Who made which version current, as the audit says: `<version> <source>`. */
async function rotationsOf(keystead: Keystead, action = "keys.rotate"): Promise<string[]> {
  const records = await keystead.audit.show({ limit: 10_000 });
  return records
    .filter((record) => record["action"] === action && record["outcome"] === "allowed")
    .map(({ version, principal }) => `${String(version).split("-", 1).join("")} ${sourceOf(principal)}`);
}

function sourceOf(principal: unknown): string {
  return typeof principal === "object" && principal !== null && "source" in principal ? String(principal.source) : "nobody";
}

it("a rotation is recorded once, by who asked for it, while the background loop of his process runs", async () => {
  const keystead = await initKeystead({ ...fileStore(temporaryFolder()), settings: { refreshBound: 100 } });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  for (let count = 0; count < 3; count += 1) await keystead.keys.rotate("k", { reason: "yearly" });
  expect(await rotationsOf(keystead)).toEqual(["2 embedded", "3 embedded", "4 embedded"]);
  await keystead.close();
});

it("rotations at once are recorded once each, with the version that each made", async () => {
  const keystead = await initKeystead({ ...fileStore(temporaryFolder()), settings: { refreshBound: 100 } });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  await Promise.all([keystead.keys.rotate("k"), keystead.keys.rotate("k"), keystead.keys.rotate("k")]);
  expect((await rotationsOf(keystead)).sort()).toEqual(["2 embedded", "3 embedded", "4 embedded"]);
  await keystead.close();
});

it("two processes record each rotation of either once", async () => {
  const options = fileStore(temporaryFolder());
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 100 } });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const children = [startChild(program, [options.store, "k", "4"]), startChild(program, [options.store, "k", "4"])];
  await Promise.all(children.map((child) => child.finish()));
  expect((await rotationsOf(keystead)).sort()).toEqual([2, 3, 4, 5, 6, 7, 8, 9].map((version) => `${String(version)} embedded`));
  await keystead.close();
});

it("a rotation whose process was killed between publication and pointer is finished and recorded once, by the engine", async () => {
  const options = fileStore(temporaryFolder());
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 1000 } });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const child = startChild(program, [options.store, "k", "1"]);
  await vi.waitFor(async () => expect((await keystead.keys.show("k")).versions).toHaveLength(2), { timeout: 10_000, interval: 5 });
  await child.kill();
  expect((await keystead.keys.show("k")).currentVersion).toBe(1);
  await keystead.close();

  const later = [new TestClock(Date.now() + day), new TestClock(Date.now() + day)];
  const [second, third] = await Promise.all(later.map((clock) => openTestKeystead({ ...options, clock })));
  if (second === undefined || third === undefined) throw new Error("not opened");
  expect((await second.keys.show("k")).currentVersion).toBe(2);
  await third.audit.flush();
  expect(await rotationsOf(second)).toEqual(["2 engine"]);
  const record = (await second.audit.show()).find(({ action }) => action === "keys.rotate");
  expect(record).toMatchObject({ reason: "finished a published rotation", detail: { publishedFor: "rotated" } });
});

it("a process that lives is not pre-empted within the grace, and says so when it was taken for dead", async () => {
  const options = fileStore(temporaryFolder());
  const clock = new TestClock();
  const slow = await initKeystead({ ...options, clock });
  await slow.keys.create({ name: "k", purpose: "pii" });
  clock.wait = async (milliseconds) => {
    const soon = await openTestKeystead({ ...options, clock: new TestClock(clock.now() + milliseconds + 5000) });
    expect((await soon.keys.show("k")).currentVersion).toBe(1);
    await soon.close();
    const late = await openTestKeystead({ ...options, clock: new TestClock(clock.now() + day) });
    expect((await late.keys.show("k")).currentVersion).toBe(2);
    await late.close();
  };
  await slow.keys.rotate("k");
  expect((await rotationsOf(slow)).sort()).toEqual(["2 embedded", "2 engine"]);
  expect(await slow.audit.show()).toContainEqual(expect.objectContaining({ action: "keys.rotate", detail: { finishedBy: "engine" } }));
  await slow.close();
});

it("a version whose date comes after a later one is current is activated, and nothing is said to be rotated", async () => {
  const { keystead, clock } = await createTestKeystead({ settings: { refreshBound: 20 } });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  await keystead.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
  await keystead.keys.rotate("k");
  clock.advance(day);
  await vi.waitFor(async () => expect((await keystead.keys.show("k")).versions[1]?.state).toBe("active"));
  clock.advance(day);
  // A later date that comes shows that the loop has looked at the earlier version once more.
  await keystead.keys.rotate("k", { activateAt: new Date(clock.now() + day) });
  clock.advance(day);
  await vi.waitFor(async () => expect((await keystead.keys.show("k")).versions[3]?.state).toBe("active"));
  clock.advance(day);
  await vi.waitFor(async () => expect((await keystead.keys.show("k")).currentVersion).toBe(4));
  expect(await rotationsOf(keystead)).toEqual(["2 embedded", "3 embedded", "4 embedded"]);
  await vi.waitFor(async () => expect(await rotationsOf(keystead, "keys.activate")).toEqual(["2 engine", "4 engine", "4 engine"]));
});
