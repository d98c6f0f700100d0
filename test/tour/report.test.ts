import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { formatSeconds, Report } from "../../src/cli/tour/report.ts";
import { ManualClock } from "./support/manual-clock.ts";

function reported(): { report: Report; clock: ManualClock; lines: () => string[]; shown: string[] } {
  const clock = new ManualClock();
  let told = "";
  const shown: string[] = [];
  const write = async (text: string): Promise<void> => {
    told += stripVTControlCharacters(text);
  };
  const report = new Report({ write, bar: { write: (text) => shown.push(text), width: 80 }, clock });
  return { report, clock, lines: () => told.split("\n"), shown };
}

describe("a report", () => {
  it("tells what a step did, how long it took and how fast that was", async () => {
    const { report, clock, lines } = reported();
    const result = await report.step("protect", async () => {
      clock.time += 8_000;
      return { result: 7, text: "20,000 rows", details: ["more", "and more"], rows: 20_000, values: 100_000 };
    });
    expect(result).toBe(7);
    expect(lines()).toEqual(["✓ protect         20,000 rows (4.0 s, 5,000 rows/s)", "    more", "    and more", ""]);
    expect(report.timings).toEqual([{ step: "protect", seconds: 4, rows: 20_000, values: 100_000, rowsPerSecond: 5_000 }]);
    expect(report.seconds).toBe(4);
  });

  it("leaves out what there is not", async () => {
    const { report, lines } = reported();
    await report.step("keys", async () => ({ result: undefined, text: "made" }));
    await report.step("census", async () => ({ result: undefined, text: "none", rows: 0 }));
    expect(lines()).toEqual(["✓ keys            made (0.00 s)", "✓ census          none (0.00 s)", ""]);
    expect(report.timings).toEqual([
      { step: "keys", seconds: 0 },
      { step: "census", seconds: 0, rows: 0 },
    ]);
  });

  it("tells nothing of a step that failed", async () => {
    const { report, lines } = reported();
    await expect(report.step("keys", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(lines()).toEqual([""]);
    expect(report.timings).toEqual([]);
  });

  it("shows progress on a terminal and takes it away again, also after a failure", async () => {
    const { report, lines, shown } = reported();
    await report.progress({ title: "protect", unit: "rows" }, async (progress) => {
      progress.update(50, 100);
    });
    expect(stripVTControlCharacters(shown.join(""))).toMatch(/protect .*50 % .*50 of 100 rows/);
    expect(shown.at(-1)).toBe("\r\u001b[K");
    const failed = report.progress({ title: "protect", unit: "rows" }, (progress) => {
      progress.update(1, 2);
      return Promise.reject(new Error("no"));
    });
    await expect(failed).rejects.toThrow("no");
    expect(shown.at(-1)).toBe("\r\u001b[K");
    expect(lines()).toEqual([""]);
  });

  it.each([
    [0, "0.00 s"],
    [0.04, "0.04 s"],
    [1.26, "1.3 s"],
    [12.4, "12 s"],
  ])("writes %s seconds as %s", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});
