import pg, { type CustomTypesConfig } from "pg";

const { builtins, getTypeParser } = pg.types;

/** Reads 64-bit integers as bigint, so that none is rounded; all other types as `pg` does. */
export const exactIntegers: CustomTypesConfig = {
  getTypeParser: (type: pg.types.TypeId, format?: "text" | "binary") =>
    type === builtins.INT8 && format !== "binary" ? BigInt : (getTypeParser(type, format) as unknown),
};
