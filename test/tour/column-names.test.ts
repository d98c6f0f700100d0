import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { freeName, nameColumns } from "../../src/cli/tour/column-names.ts";

describe("names of columns", () => {
  it.each([
    ["surname", "surname", "surname"],
    ["Last, Name", "Last, Name", "last_name"],
    ['say "hi"', 'say "hi"', "say_hi"],
    ["Größe in cm", "Größe in cm", "grosse_in_cm"],
    ["Åse's", "Åse's", "ase_s"],
    ["2019", "2019", "column_1"],
    ["2019 sum", "2019 sum", "sum"],
    ["身長", "身長", "column_1"],
    ["", "column_1", "column_1"],
    ["  padded ", "padded", "padded"],
    ["two\r\nlines", "two lines", "two_lines"],
    ["a{b}c", "a(b)c", "a_b_c"],
    ["__proto__", "proto", "proto"],
    ["'; DROP TABLE data; --", "'; DROP TABLE data; --", "drop_table_data"],
  ])("%j becomes %j and %j", (header, name, logical) => {
    expect(nameColumns([header])).toEqual([{ name, logical }]);
  });

  it("tells columns of the same name apart, as databases do", () => {
    const named = nameColumns(["id", "ID", "name", "Name", "name", "é", "É"]);
    expect(named.map(({ name }) => name)).toEqual(["id", "ID (2)", "name", "Name (2)", "name (3)", "é", "É (2)"]);
    expect(named.map(({ logical }) => logical)).toEqual(["id", "id_2", "name", "name_2", "name_3", "e", "e_2"]);
  });

  it("keeps what any header says in names that a dataset takes", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 90 }), { minLength: 1, maxLength: 20 }), (header) => {
        const named = nameColumns(header);
        expect(new Set(named.map(({ name }) => name.toLowerCase())).size).toBe(header.length);
        expect(new Set(named.map(({ logical }) => logical)).size).toBe(header.length);
        for (const { name, logical } of named) {
          expect(logical).toMatch(/^[A-Za-z][A-Za-z0-9_.-]{0,127}$/);
          expect(name).not.toMatch(/[{}\p{Cc}]/u);
          expect(name).not.toBe("");
          expect(Buffer.byteLength(name)).toBeLessThan(255);
        }
      }),
    );
  });

  it("finds a free name for another column", () => {
    const columns = nameColumns(["mail_exact", "MAIL_EXACT_2"]);
    expect(freeName("phone_exact", columns)).toBe("phone_exact");
    expect(freeName("Mail_exact", columns)).toBe("Mail_exact_3");
  });
});
