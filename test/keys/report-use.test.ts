import { expect, it } from "vitest";
import type { AuditEvent, AuditTrail } from "../../src/audit/event.ts";
import { parseRecord } from "../../src/audit/record.ts";
import type { AuditSink } from "../../src/audit/sinks/audit-sink.ts";
import { AuditSinks } from "../../src/audit/sinks/audit-sinks.ts";
import { KeysteadError } from "../../src/errors.ts";
import { reportUse } from "../../src/keys/background.ts";
import { UseCounts } from "../../src/keys/use-counts.ts";
import { newStore } from "../audit/support/audit-store.ts";
import { newPlace, type TrailPlace } from "../audit/support/trail.ts";

/** Counts of two key versions, and a report of them. */
async function counted(audit: AuditTrail) {
  const counts = new UseCounts(await newStore());
  counts.restoreUse({ key: "pii", label: "1-aaaaaa", seals: 1000, opens: 10, refusals: 3 });
  counts.restoreUse({ key: "pii", label: "2-bbbbbb", seals: 5, opens: 0, refusals: 0 });
  return { counts, report: () => reportUse({ registry: { flush: () => Promise.resolve(), counts }, audit }) };
}

const whole = [{ seals: 1000, opens: 10 }, { refusals: 3 }, { seals: 5, opens: 0 }];

async function usesIn({ store }: TrailPlace): Promise<unknown[]> {
  const rows = await store.read((tables) => tables.auditLines.list());
  return rows.flatMap(({ line }) => {
    const record = parseRecord(line);
    return record?.action === "keys.use" ? [record.detail] : [];
  });
}

it("use is recorded once when a sink fails that gets it later", async () => {
  const place = await newPlace();
  const state = { works: true };
  const sink: AuditSink = {
    name: "flaky",
    open: () => Promise.resolve(),
    append: () => (state.works ? Promise.resolve() : Promise.reject(new Error("full"))),
    close: () => Promise.resolve(),
  };
  const trail = await place.open({ sinks: await AuditSinks.open([sink], place.clock) });
  const { report, counts } = await counted(trail);
  state.works = false;
  // The first record is durable nevertheless; the next one is refused before it is.
  await expect(report()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  state.works = true;
  place.clock.advance(1000);
  await report();
  expect(counts.takeUse()).toEqual([]);
  await trail.close();
  expect(await usesIn(place)).toEqual(whole);
});

it.each([1, 2, 3])("use is recorded once when record %i can't be made durable at first", async (number) => {
  const details: AuditEvent["detail"][] = [];
  let asked = 0;
  const { report, counts } = await counted({
    record: ({ detail }) => {
      asked++;
      if (asked === number) return Promise.reject(new KeysteadError("AUDIT_UNAVAILABLE", "the disk is full"));
      details.push(detail);
      return Promise.resolve();
    },
  });
  await expect(report()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  await report();
  expect(counts.takeUse()).toEqual([]);
  expect(details).toEqual(whole);
});
