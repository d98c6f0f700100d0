import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorCodes } from "../../src/errors.ts";

const row = /^\| `(?<code>[A-Z_]+)` *\| (?<exit>\d+) *\| (?<status>\d+) *\| [^|]+ \|$/gm;
const documented = [...readFileSync("docs/errors.md", "utf8").matchAll(row)].map((match) => match.groups ?? {});

describe("docs/errors.md", () => {
  it("lists every code once, with its exit code and status, and no other", () => {
    const table = Object.entries(errorCodes).map(([code, { exit, status }]) => `${code} ${String(exit)} ${String(status)}`);
    expect(documented.map(({ code = "", exit = "", status = "" }) => `${code} ${exit} ${status}`).sort()).toEqual(table.sort());
  });
});
