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
