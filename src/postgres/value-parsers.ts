import pg, { type CustomTypesConfig } from "pg";

const { builtins, getTypeParser } = pg.types;
const asDefault: (...type: Parameters<typeof getTypeParser>) => unknown = getTypeParser;

/** Reads 64-bit integers as bigint, so that none is rounded; all other types as `pg` does. */
export const exactIntegers: CustomTypesConfig = {
  getTypeParser: (type, format) => (type === builtins.INT8 && format !== "binary" ? BigInt : asDefault(type, format)),
};
