import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { KeysteadError, type ErrorCode } from "../../src/errors.ts";
import { isBusy, mapSqliteError } from "../../src/store/sqlite/sqlite-errors.ts";

/** As `node:sqlite` throws them. */
function sqliteError(errcode: number): Error {
  return Object.assign(new Error("sqlite says"), { code: "ERR_SQLITE_ERROR", errcode, errstr: "says" });
}

const codes: readonly (readonly [name: string, errcode: number, code: ErrorCode])[] = [
  ["SQLITE_ERROR", 1, "STORE_FAILED"],
  ["SQLITE_BUSY", 5, "STORE_BUSY"],
  ["SQLITE_BUSY_RECOVERY", 261, "STORE_BUSY"],
  ["SQLITE_BUSY_SNAPSHOT", 517, "STORE_BUSY"],
  ["SQLITE_LOCKED", 6, "STORE_BUSY"],
  ["SQLITE_NOMEM", 7, "STORE_FAILED"],
  ["SQLITE_READONLY", 8, "STORE_READ_ONLY"],
  ["SQLITE_READONLY_DIRECTORY", 1544, "STORE_READ_ONLY"],
  ["SQLITE_READONLY_DBMOVED", 1032, "STORE_FAILED"],
  ["SQLITE_IOERR_FSYNC", 1034, "STORE_FAILED"],
  ["SQLITE_IOERR_SHMSIZE", 4874, "STORE_FULL"],
  ["SQLITE_CORRUPT", 11, "STORE_FAILED"],
  ["SQLITE_FULL", 13, "STORE_FULL"],
  ["SQLITE_CANTOPEN", 14, "STORE_FAILED"],
  ["SQLITE_CONSTRAINT_UNIQUE", 2067, "NAME_TAKEN"],
  ["SQLITE_CONSTRAINT_PRIMARYKEY", 1555, "NAME_TAKEN"],
  ["SQLITE_CONSTRAINT_CHECK", 275, "INVALID_ARGUMENT"],
  ["SQLITE_CONSTRAINT_NOTNULL", 1299, "INVALID_ARGUMENT"],
  ["SQLITE_CONSTRAINT_DATATYPE", 3091, "INVALID_ARGUMENT"],
  ["SQLITE_NOTADB", 26, "STORE_FAILED"],
];

describe("errors of SQLite", () => {
  it.each(codes)("%s (%d) is %s, with its cause", (_, errcode, code) => {
    const cause = sqliteError(errcode);
    const mapped = mapSqliteError(cause);
    expect(mapped).toMatchObject({ code, cause });
    expect(mapped.message).toMatch(/^[^.]+: .+[^.]$/);
    expect(isBusy(cause)).toBe((errcode & 0xff) === 5);
  });

  it.each([
    ["ENOENT", "STORE_NOT_FOUND"],
    ["EROFS", "STORE_READ_ONLY"],
    ["EACCES", "STORE_READ_ONLY"],
    ["ENOSPC", "STORE_FULL"],
    ["EMFILE", "STORE_FAILED"],
  ])("%s of the file system is %s", (name, code) => {
    expect(mapSqliteError(Object.assign(new Error(name), { code: name })).code).toBe(code);
  });

  it("leaves a KeysteadError as it is, and takes anything else", () => {
    const error = new KeysteadError("CONFLICT", "it changed: read it again");
    expect(mapSqliteError(error)).toBe(error);
    for (const thrown of [undefined, null, "text", 5, new Error("bare")])
      expect(mapSqliteError(thrown)).toMatchObject({ code: "STORE_FAILED", cause: thrown });
  });

  it("knows the codes that node:sqlite really throws", () => {
    const database = new DatabaseSync(":memory:");
    database.exec("create table t (a text primary key check (length(a) < 3)) strict; insert into t values ('a')");
    const thrownBy = (statement: string): ErrorCode => {
      try {
        database.exec(statement);
      } catch (error) {
        return mapSqliteError(error).code;
      }
      throw new Error("it should have failed");
    };
    expect(thrownBy("insert into t values ('a')")).toBe("NAME_TAKEN");
    expect(thrownBy("insert into t values ('long')")).toBe("INVALID_ARGUMENT");
    expect(thrownBy("insert into no_such_table values (1)")).toBe("STORE_FAILED");
    database.close();
  });
});
