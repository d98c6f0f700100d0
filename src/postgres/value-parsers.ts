import type { CustomTypesConfig } from "pg";
import pg from "pg";

/** Object identifier of `int8`. https://www.postgresql.org/docs/current/catalog-pg-type.html */
const int8 = 20;

/** Reads 64-bit integers as bigint, so that none is rounded; all other types as `pg` does. */
export const exactIntegers: CustomTypesConfig = {
  getTypeParser: (type: number, format?: "text" | "binary") =>
    type === int8 && format !== "binary" ? BigInt : pg.types.getTypeParser(type, format),
};
