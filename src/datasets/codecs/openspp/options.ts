import { z } from "zod";
import { keySource } from "../key-source.ts";

const name = z.string().min(1).max(255);

const keyRows = z.union(
  [
    z.strictObject({ file: z.string().min(1) }),
    z.strictObject({ database: name, table: name.default("spp_encryption_key"), keyColumns: z.array(name).min(1).max(16).default(["id"]) }),
  ],
  { error: 'must be { "file": PATH } of a CSV file, or { "database": NAME }' },
);

/** Options of the codec `openspp`: the fields of one model. */
export const opensppOptions = z
  .strictObject({
    /** Model in OpenSPP, as in `res.partner`; its fields are the table's columns. */
    model: z.string().regex(/^[a-z_][a-z0-9_]*(\.[a-z0-9_]+)*$/, { error: "must be a model's name, like res.partner" }),
    /** Fields whose column has another name, by physical column. */
    fields: z.record(name, name).default({}),
    /** Full id of the data key: purpose and key id, joined by `_`. */
    key: name.default("pii_pii"),
    /** What unwraps the data keys: `SPP_MASTER_KEY`, or `spp_master_key` in odoo.conf. */
    masterKey: keySource("base64").optional(),
    /** File with the database's UUID (`database.uuid`), from which OpenSPP derives the master key when none is configured. */
    databaseUuid: z.strictObject({ file: z.string().min(1) }).optional(),
    /** The rows of `spp_encryption_key`. */
    keyRows,
  })
  .refine(({ masterKey, databaseUuid }) => (masterKey === undefined) !== (databaseUuid === undefined), {
    error: "must have one of masterKey and databaseUuid",
  });

/** Checked options. */
export type OpensppOptions = z.output<typeof opensppOptions>;
