import { describe, expect, it } from "vitest";
import { canonicalTypeOf } from "../../../src/datasets/sqlite/declared-type.ts";
import { canonicalTypes } from "../../../src/fields/canonical-text.ts";

const names: Readonly<Record<string, readonly string[]>> = {
  integer: [
    "INT",
    "integer",
    "TINYINT",
    "SMALLINT(5)",
    "MEDIUMINT",
    "BIGINT",
    "big int",
    "UNSIGNED BIG INT",
    "INT2",
    "INT8",
    "BIGINT UNSIGNED",
  ],
  numeric: ["NUMERIC", "decimal", "DECIMAL(10,2)", "DECIMAL (10, 5)", "DEC(3)"],
  boolean: ["BOOLEAN", "bool"],
  uuid: ["UUID", "guid", "UNIQUEIDENTIFIER"],
  date: ["DATE"],
  timestamptz: [
    "TIMESTAMPTZ",
    "timestamp with time zone",
    "TIMESTAMP(6) WITH TIME ZONE",
    "TIMESTAMP  WITH\tTIME ZONE",
    "DATETIMEOFFSET(7)",
  ],
  text: [
    "TEXT",
    "VARCHAR(255)",
    "CHAR(36)",
    "character(20)",
    "VARYING CHARACTER(255)",
    "NCHAR(55)",
    "NATIVE CHARACTER(70)",
    "NVARCHAR(100)",
    "CLOB",
    "LONGTEXT",
  ],
  bytes: ["BLOB", "BINARY(16)", "VARBINARY", "bytea", "LONGBLOB"],
};

describe("declared types of SQLite columns", () => {
  it.each(Object.entries(names))("that mean %s", (type, declared) => {
    for (const name of declared) expect(canonicalTypeOf(name), name).toBe(type);
  });

  it("are known for every canonical type", () => {
    expect(Object.keys(names).sort()).toEqual([...canonicalTypes].sort());
  });

  it.each([
    ...["", "ANY", "STRING", "TIMESTAMP", "TIMESTAMP(6)", "TIMESTAMP WITHOUT TIME ZONE", "DATETIME", "TIME", "YEAR"],
    ...["REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT", "FLOAT(24)", "FLOATING POINT", "NUMBER", "MONEY", "JSON", "XML"],
    ...["TINYINT(1)", "tinyint ( 1 ) unsigned", "BIT", "POINT", "INTERVAL", "INTEGERS", "MY TEXT", "TEXT COLLATE", "BLOBBY", "UUID[]"],
  ])("that don't tell, or have no text: %j", (declared) => {
    expect(canonicalTypeOf(declared)).toBeUndefined();
  });
});
