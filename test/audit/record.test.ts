import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AuditEvent } from "../../src/audit/event.ts";
import { encodeRecord, maxLineLength, parseRecord, RecordEncoder, type RecordOrigin, type RecordPlace } from "../../src/audit/record.ts";

const origin: RecordOrigin = { store: "store-1", writer: "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081", process: 4711, host: "host.example" };
const place: RecordPlace = {
  sequence: 3,
  previous: "ab".repeat(32),
  time: Date.UTC(2026, 1, 3, 4, 5, 6, 7),
  id: "7d0a9c0e-3b7e-4a53-8a48-8f0f3c6f2d22",
};
const event: AuditEvent = { action: "keys.rotate", outcome: "allowed", principal: { source: "embedded", id: "embedded" } };

function encode(changes: Partial<AuditEvent>): string {
  return encodeRecord(origin, place, { ...event, ...changes }).toString("utf8");
}

describe("encodeRecord", () => {
  it("writes all fields, always in the same order", () => {
    const full: AuditEvent = {
      detail: { states: "active", count: 2, done: true, nothing: null },
      code: "KEY_STATE",
      reason: "yearly",
      dataset: "crm.person",
      version: "3-k7f2qd",
      key: "acme/pii-email",
      principal: { actingFor: "anna", id: "keystead", source: "engine" },
      outcome: "failed",
      action: "datasets.reencrypt",
    };
    expect(encodeRecord(origin, place, full).toString("utf8")).toBe(
      `{"sequence":3,"previous":"${"ab".repeat(32)}","time":"2026-02-03T04:05:06.007Z","id":"7d0a9c0e-3b7e-4a53-8a48-8f0f3c6f2d22",` +
        `"store":"store-1","writer":"0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081","process":4711,"host":"host.example",` +
        `"action":"datasets.reencrypt","outcome":"failed","principal":{"source":"engine","id":"keystead","actingFor":"anna"},` +
        `"key":"acme/pii-email","version":"3-k7f2qd","dataset":"crm.person","reason":"yearly","code":"KEY_STATE",` +
        `"detail":{"states":"active","count":2,"done":true,"nothing":null}}`,
    );
  });

  it("leaves out what the event doesn't have, and what no event has", () => {
    const more = { ...event, secret: "never", reason: undefined } as unknown as AuditEvent;
    const line = encodeRecord(origin, place, more).toString("utf8");
    expect(line).not.toContain("never");
    expect(line).not.toContain("reason");
    expect(parseRecord(Buffer.from(line))?.action).toBe("keys.rotate");
  });

  it("is one line, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 50 }), (reason) => {
        const line = encodeRecord(origin, place, { ...event, reason, detail: { value: reason } });
        expect(line.includes(0x0a)).toBe(false);
        expect(parseRecord(line)).toMatchObject({ reason, detail: { value: reason } });
      }),
    );
  });

  it.each<[string, Partial<AuditEvent>]>([
    ["reason", { reason: "x".repeat(1025) }],
    ["reason", { reason: "" }],
    ["reason", { reason: "lone \ud800" }],
    ["key", { key: "x".repeat(256) }],
    ["version", { version: "x".repeat(33) }],
    ["dataset", { dataset: "x".repeat(256) }],
    ["code", { code: "x".repeat(65) }],
    ["principal.id", { principal: { source: "embedded", id: "x".repeat(256) } }],
    ["principal.id", { principal: { source: "embedded", id: "" } }],
    ["action", { action: "rotate" }],
    ["action", { action: "keys rotate" }],
    ["detail.value", { detail: { value: "x".repeat(4097) } }],
    ["detail.value", { detail: { value: "\udfff" } }],
    ["detail.value", { detail: { value: Number.NaN } }],
    ["detail.value", { detail: { value: Number.POSITIVE_INFINITY } }],
    ["detail.value", { detail: { value: { nested: 1 } } as unknown as Record<string, string> }],
    ["detail", { detail: { "a b": 1 } }],
    ["detail", { detail: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`n${index}`, index])) }],
  ])("refuses a %s that a record can't hold", (field, changes) => {
    expect(() => encode(changes)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(() => encode(changes)).toThrow(field);
  });

  it("refuses a record that is too long, and does not shorten anything", () => {
    const detail = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`n${index}`, "x".repeat(4096)]));
    expect(() => encode({ detail })).toThrow(String(maxLineLength));
    const value = "ä€😀".repeat(1000);
    expect(encode({ detail: { value } })).toContain(value);
  });

  it("says times as a Date does, one after another", () => {
    const encoder = new RecordEncoder(origin);
    const times = fc.array(
      fc.oneof(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), fc.integer({ min: -2_500, max: 2_500 })),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(times, (list) => {
        const said = list.map((time) => parseRecord(Buffer.from(encoder.encode({ ...place, time }, event)))?.time);
        expect(said).toEqual(list.map((time) => new Date(time).toISOString()));
      }),
    );
  });

  it("refuses a time that no calendar has", () => {
    for (const time of [Number.NaN, 8.64e15 + 1, Date.UTC(10_000, 0)]) {
      expect(() => encodeRecord(origin, { ...place, time }, event)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
  });
});

describe("parseRecord", () => {
  it("reads what was written", () => {
    expect(parseRecord(encodeRecord(origin, place, event))).toEqual({
      ...origin,
      ...event,
      sequence: 3,
      previous: "ab".repeat(32),
      time: "2026-02-03T04:05:06.007Z",
      id: place.id,
    });
  });

  it("is total", () => {
    const line = encodeRecord(origin, place, event);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
          fc.nat(line.length).map((length) => line.subarray(0, length - 1)),
        ),
        (bytes) => {
          expect(parseRecord(bytes)).toBeUndefined();
        },
      ),
    );
    expect(parseRecord(Buffer.concat([line, Buffer.from([0xff])]))).toBeUndefined();
    expect(parseRecord(Buffer.alloc(maxLineLength + 1, " "))).toBeUndefined();
    expect(parseRecord(Buffer.from(line.toString("utf8").replace("{", '{"more":1,')))).toBeUndefined();
  });
});
