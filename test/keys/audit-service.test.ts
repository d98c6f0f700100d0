import { describe, expect, it } from "vitest";
import { embeddedPrincipal } from "../../src/access/principal.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import type { AuditRecordView } from "../../src/audit/newest-records.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { codeOf, createTestKeystead, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

function numbered(number: number, more: Partial<AuditEvent> = {}): AuditEvent {
  return { action: "tests.count", outcome: "allowed", principal: embeddedPrincipal, detail: { number }, ...more };
}

function numbersOf(records: readonly AuditRecordView[]): unknown[] {
  return records.map((record) => (record["detail"] as { number?: number } | undefined)?.number);
}

describe("audit.show", () => {
  it("gives the newest 100 records, oldest first, when nothing else is said", async () => {
    const { keystead } = await createTestKeystead();
    for (let number = 0; number < 150; number++) await keystead.audit.trail.record(numbered(number));
    expect(numbersOf(await keystead.audit.show())).toEqual(Array.from({ length: 100 }, (_, index) => 50 + index));
    expect(numbersOf(await keystead.audit.show({ limit: 3 }))).toEqual([147, 148, 149]);
    const all = await keystead.audit.show({ limit: Number.POSITIVE_INFINITY });
    expect(all[0]).toMatchObject({ action: "journal.open" });
    expect(all.length).toBeGreaterThan(150);
  });

  it("picks by time, action, key, dataset and outcome", async () => {
    const { keystead, clock } = await createTestKeystead();
    const { trail } = keystead.audit;
    const times: Date[] = [];
    const more: readonly Partial<AuditEvent>[] = [
      { key: "pii" },
      { key: "pii", outcome: "denied" },
      { action: "tests.count-twice", dataset: "person" },
      { action: "testsuite.count", outcome: "failed", code: "INTERNAL" },
    ];
    for (const [number, event] of more.entries()) {
      clock.advance(1000);
      times.push(new Date(clock.now()));
      await trail.record(numbered(number, event));
    }
    const time = (number: number): Date => times[number] ?? new Date(Number.NaN);
    const show = async (filter: Parameters<Keystead["audit"]["show"]>[0]): Promise<unknown[]> =>
      numbersOf((await keystead.audit.show(filter)).filter(({ action }) => String(action).startsWith("test")));
    expect(await show({ key: "pii" })).toEqual([0, 1]);
    expect(await show({ key: "pii", failed: true })).toEqual([1]);
    expect(await show({ dataset: "person" })).toEqual([2]);
    expect(await show({ action: "tests" })).toEqual([0, 1, 2]);
    expect(await show({ action: "tests.count" })).toEqual([0, 1]);
    expect(await show({ failed: true })).toEqual([1, 3]);
    expect(await show({ since: time(1) })).toEqual([1, 2, 3]);
    expect(await show({ until: time(1) })).toEqual([0]);
    expect(await show({ since: time(1), until: time(3), limit: 1 })).toEqual([2]);
    expect(await show({ action: "tests", limit: 1, until: time(2) })).toEqual([1]);
  });

  it.each([{ limit: 0 }, { limit: 1.5 }, { limit: Number.NaN }, { limit: -1 }, { since: new Date("never") }, { until: new Date("never") }])(
    "refuses %o",
    async (filter) => {
      const { keystead } = await createTestKeystead();
      expect(await codeOf(keystead.audit.show(filter))).toBe("INVALID_ARGUMENT");
    },
  );

  it("shows what other processes recorded, too, as far as they are done", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead(options);
    await first.audit.trail.record(numbered(1));
    await first.close();
    const second = await openTestKeystead(options);
    const third = await openTestKeystead(options);
    await second.audit.trail.record(numbered(2));
    await second.audit.flush();
    await third.audit.trail.record(numbered(3));
    expect(numbersOf(await third.audit.show({ action: "tests" }))).toEqual([1, 2, 3]);
  });
});

describe("audit.page", () => {
  it("gives all records page by page, newest first, each once, also of journals that went on and while more come", async () => {
    const options = fileStore(temporaryFolder());
    const first = await initKeystead(options);
    for (let number = 0; number < 25; number++) await first.audit.trail.record(numbered(number));
    await first.close();
    const second = await openTestKeystead(options);
    const third = await openTestKeystead(options);
    for (let number = 25; number < 60; number++) {
      await (number % 2 === 0 ? second : third).audit.trail.record(numbered(number));
      if (number % 10 === 0) await second.audit.flush();
    }
    await third.audit.flush();
    const all = (await third.audit.show({ limit: Number.POSITIVE_INFINITY })).toReversed().map(({ id }) => id);
    for (const limit of [1, 7, 1000]) {
      const seen: unknown[] = [];
      let after: string | undefined;
      do {
        const page = await third.audit.page({ limit, ...(after !== undefined && { after }) });
        expect(page.records.length).toBeLessThanOrEqual(limit);
        seen.push(...page.records.map(({ id }) => id));
        after = page.next;
        if (seen.length < 20) await second.audit.trail.record({ ...numbered(0), action: "tests.later" });
      } while (after !== undefined);
      const older = new Set(all);
      expect(seen.filter((id) => older.has(String(id)))).toEqual(all);
      expect(new Set(seen).size).toBe(seen.length);
    }
  });

  it("picks by principal, outcome, request and purpose", async () => {
    const { keystead } = await createTestKeystead();
    const { trail } = keystead.audit;
    await trail.record(numbered(0, { principal: { source: "os-user", id: "anna" }, purpose: "pii" }));
    await trail.record(numbered(1, { outcome: "denied", request: { id: "r1", address: "::1" } }));
    await trail.record(numbered(2, { outcome: "failed", request: { id: "r2" }, purpose: "pii" }));
    const page = async (filter: Parameters<Keystead["audit"]["page"]>[0]): Promise<unknown[]> =>
      numbersOf((await keystead.audit.page({ action: "tests", ...filter })).records);
    expect(await page({})).toEqual([2, 1, 0]);
    expect(await page({ principal: "os-user:anna" })).toEqual([0]);
    expect(await page({ principal: "anna" })).toEqual([]);
    expect(await page({ outcome: "denied" })).toEqual([1]);
    expect(await page({ outcome: "allowed" })).toEqual([0]);
    expect(await page({ request: "r2" })).toEqual([2]);
    expect(await page({ purpose: "pii" })).toEqual([2, 0]);
    expect(await page({ purpose: "pii", failed: true })).toEqual([2]);
    for (const filter of [{ after: "x" }, { after: "" }, { limit: 1001 }, { limit: Number.POSITIVE_INFINITY }]) {
      expect(await codeOf(keystead.audit.page(filter))).toBe("INVALID_ARGUMENT");
    }
  });
});

describe("audit.report", () => {
  it("counts by action, key, principal and outcome, sorted", async () => {
    const { keystead, clock } = await createTestKeystead();
    clock.advance(1000);
    const from = new Date(clock.now());
    for (const [number, id] of ["zoe", "anna", "zoe"].entries()) {
      await keystead.audit.trail.record(numbered(number, { principal: { source: "os-user", id }, key: `k${id}`, outcome: "denied" }));
    }
    clock.advance(1000);
    const to = new Date(clock.now());
    await keystead.audit.trail.record(numbered(9));
    expect(await keystead.audit.report({ from, to })).toEqual({
      records: 3,
      byAction: [{ name: "tests.count", count: 3 }],
      byKey: [
        { name: "kanna", count: 1 },
        { name: "kzoe", count: 2 },
      ],
      byPrincipal: [
        { name: "os-user:anna", count: 1 },
        { name: "os-user:zoe", count: 2 },
      ],
      byOutcome: [{ name: "denied", count: 3 }],
      principals: 2,
      badLines: 0,
    });
    expect((await keystead.audit.report({ from: to })).records).toBe(1);
    expect(await codeOf(keystead.audit.report({ from: new Date("never") }))).toBe("INVALID_ARGUMENT");
  });
});

describe("audit.verify", () => {
  it("never counts records of its own process as unshipped, however many are being written", async () => {
    const keystead = await initKeystead(fileStore(temporaryFolder()));
    let done = false;
    const recorders = Array.from({ length: 20 }, async (_, number) => {
      while (!done) await keystead.audit.trail.record(numbered(number));
    });
    for (let round = 0; round < 8; round++) {
      await keystead.audit.flush();
      expect(await keystead.audit.verify()).toMatchObject({ findings: [], unshipped: 0, uncovered: 0 });
    }
    done = true;
    await Promise.all(recorders);
    expect(await keystead.audit.verify()).toMatchObject({ findings: [], unshipped: 0, uncovered: 0, torn: 0 });
    await keystead.close();
  });
});
