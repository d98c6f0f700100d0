import { describe, expect, it } from "vitest";
import { KeysteadError } from "../../src/errors.ts";
import { describeFailure, formatFailure, HintedError, isClosedPipe } from "../../src/cli/failure.ts";
import { Progress } from "../../src/cli/progress.ts";
import { formatFacts, formatTable, printable, textWidth } from "../../src/cli/table.ts";
import { displayedValue, jsonValue, openedValue, typedPlaintext } from "../../src/cli/value-output.ts";
import type { Clock } from "../../src/clock.ts";

const normal = { path: "keystead", debug: false };

describe("tables", () => {
  it("align text to the left and numbers to the right, as wide as it is shown", () => {
    const rows = [
      { name: "Käthe", count: 7 },
      { name: "王小明", count: 20_000 },
    ];
    const table = formatTable(rows, [
      { title: "name", cell: ({ name }) => name },
      { title: "count", cell: ({ count }) => count },
    ]);
    expect(table).toBe("NAME     COUNT\nKäthe        7\n王小明  20,000\n");
    expect(formatFacts({ a: 1, longer: "x", absent: undefined, empty: "" })).toBe("a       1\nlonger  x\n");
  });

  it("show control characters and changes of direction, and don't obey them", () => {
    expect(printable("a\u001b[2Jb\u202ec\nd")).toBe("a\\u{1b}[2Jb\\u{202e}c\\u{a}d");
    expect(textWidth("e\u0301")).toBe(1);
  });
});

describe("failures", () => {
  it("tell a person and a program the same", () => {
    const failure = describeFailure(new HintedError(new KeysteadError("UNKNOWN_KEY", "no key is named x"), "did you mean y?"), normal);
    expect(formatFailure(failure, false)).toBe("keystead: no key is named x\nhint: did you mean y?\n");
    expect(JSON.parse(formatFailure(failure, true))).toEqual({
      code: "UNKNOWN_KEY",
      message: "no key is named x",
      exitCode: 5,
      hint: "did you mean y?",
    });
  });

  it("say nothing of what an unknown error holds, until they are asked to", () => {
    const error = new TypeError("cannot read anna@example.org");
    expect(formatFailure(describeFailure(error, normal), false)).toMatch(/^keystead: internal error\nhint: .*KEYSTEAD_DEBUG=1/);
    expect(formatFailure(describeFailure(error, { ...normal, debug: true }), false)).toContain("TypeError: cannot read");
  });

  it("add what the operating system said unless the message has it, and nothing else of a cause", () => {
    const system = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
    expect(describeFailure(new KeysteadError("STORE_FULL", "the disk is full", { cause: system }), normal).message).toBe(
      "the disk is full (ENOSPC: no space left on device, write)",
    );
    const told = `the disk takes nothing (${system.message}); free space`;
    expect(describeFailure(new KeysteadError("STORE_FULL", told, { cause: system }), normal).message).toBe(told);
    expect(describeFailure(new KeysteadError("STORE_FAILED", "it failed", { cause: new Error("row 'anna'") }), normal).message).toBe(
      "it failed",
    );
    expect(isClosedPipe(Object.assign(new Error("EPIPE"), { code: "EPIPE", syscall: "write" }))).toBe(true);
    expect(isClosedPipe(system)).toBe(false);
  });
});

describe("opened values", () => {
  it("are text only where a terminal can show them", () => {
    expect(openedValue(Buffer.from("Zoë\t1\r\n2"))).toEqual({ plaintext: "Zoë\t1\r\n2" });
    expect(openedValue(Buffer.from([0xff]))).toEqual({ plaintextBase64url: "_w" });
    expect(openedValue(Buffer.from("\u001b[2J"))).toHaveProperty("plaintextBase64url");
  });

  it("of a type are written as text that loses nothing, bytes as they are", () => {
    const values = ["Zoë", -0, 0.1, Number.NaN, 2n ** 70n, true, new Date(0), new Uint8Array([0, 255]), { b: [1, null], a: "x" }, []];
    expect(values.map(typedPlaintext).map(({ type, plaintext }) => `${type} ${plaintext.toString("latin1")}`)).toEqual([
      "string ZoÃ«",
      "number -0",
      "number 0.1",
      "number NaN",
      "bigint 1180591620717411303424",
      "boolean true",
      "date 1970-01-01T00:00:00.000Z",
      "bytes \u0000ÿ",
      'json {"b":[1,null],"a":"x"}',
      "json []",
    ]);
  });

  it("lose nothing as JSON", () => {
    expect([5n, 2n ** 60n, new Uint8Array([255]), "x", null].map(jsonValue)).toEqual([5, "1152921504606846976", "_w", "x", null]);
    expect([{ a: [1] }, true, new Date(0), null].map(displayedValue)).toEqual(['{"a":[1]}', "true", "1970-01-01T00:00:00.000Z", ""]);
  });
});

describe("progress", () => {
  interface Shown {
    readonly title?: string;
    readonly width?: number;
    readonly total?: number | undefined;
  }

  function show(
    mode: "bar" | "lines" | "silent",
    steps: readonly (readonly [at: number, done: number])[],
    { title = "protect p", width = 120, ...rest }: Shown = {},
  ): string {
    let [time, text] = [0, ""];
    const clock: Clock = { now: () => time, monotonic: () => time, wait: () => Promise.resolve() };
    const progress = new Progress({ title, unit: "rows" }, { clock, mode, width, write: (part) => (text += part) });
    for (const [at, done] of steps) {
      time = at;
      progress.update(done, "total" in rest ? rest.total : 1000);
    }
    progress.end();
    return text;
  }

  /** The last bar that a terminal of so many columns showed. */
  function lastBar(width: number, shown: Shown = { title: "reencrypt crm.person", total: 5000 }): string | undefined {
    const steps = [
      [0, 0],
      [248, 1000],
    ] as const;
    return show("bar", steps, { ...shown, width })
      .split(/\r|\u001b\[K/)
      .findLast((text) => text !== "");
  }

  it("is a line every few seconds where there is no terminal, with speed and rest", () => {
    expect(
      show("lines", [
        [0, 100],
        [1000, 200],
        [4000, 500],
        [5000, 600],
      ]),
    ).toBe("protect p  50 %  500 of 1,000 rows  100/s  5 s left\n");
  });

  it("is a bar that disappears on a terminal", () => {
    const text = show("bar", [
      [0, 0],
      [50, 10],
      [1000, 500],
    ]);
    expect(text).toBe(
      `\rprotect p  ${"░".repeat(24)}  0 %  0 of 1,000 rows\u001b[K` +
        `\rprotect p  ${"█".repeat(12)}${"░".repeat(12)}  50 %  500 of 1,000 rows  500/s  1 s left\u001b[K\r\u001b[K`,
    );
  });

  it.each([
    [120, `reencrypt crm.person  ${"█".repeat(5)}${"░".repeat(19)}  20 %  1,000 of 5,000 rows  4,032/s  992 ms left`],
    [80, `reencrypt crm.person  ${"█".repeat(2)}${"░".repeat(6)}  20 %  1,000 of 5,000 rows  4,032/s  992 ms left`],
    [72, "reencrypt crm.person  20 %  1,000 of 5,000 rows  4,032/s  992 ms left"],
    [40, `${"█".repeat(2)}${"░".repeat(9)}  20 %  4,032/s  992 ms left`],
    [20, "20 %  992 ms left"],
    [10, "20 %"],
  ])("leaves out whole fields where the terminal has %d columns", (width, text) => {
    expect(lastBar(width)).toBe(text);
  });

  it("never takes the last column, and at least says how far it is", () => {
    for (let width = 6; width <= 130; width += 1) {
      const text = lastBar(width, { title: "encrypt 王小明.sql", total: 5000 }) ?? "";
      expect(textWidth(text), text).toBeLessThan(width);
      expect(text).toContain("20 %");
    }
    expect(lastBar(0)).toBe(lastBar(80));
    expect(lastBar(3)).toBeUndefined();
  });

  it("shows the amount where there is no share, and nothing of a title that a terminal would obey", () => {
    expect(lastBar(40, { title: "encrypt \u001b[2Jx", total: undefined })).toBe("encrypt \\u{1b}[2Jx  1,000 rows  4,032/s");
    expect(lastBar(20, { title: "encrypt stdin", total: undefined })).toBe("1,000 rows  4,032/s");
    expect(lastBar(16, { title: "encrypt stdin", total: undefined })).toBe("1,000 rows");
  });

  it("is nothing for machines", () => {
    expect(show("silent", [[9000, 500]])).toBe("");
  });
});
