import { z } from "zod";

/** How a process of an application on `crm.person` reads and writes its rows: what differs between one release and the next. */
export const releaseSchema = z.object({
  /** URL of the store. */
  store: z.string(),
  /** URL of the database. */
  crm: z.string(),
  /** Stands in `truth.form` of what it wrote. */
  name: z.string(),
  /** `plain`: knows no Keystead. `record`: by fields and the dataset's definition, which it reads when it is started and never again. */
  way: z.enum(["plain", "record"]),
  /** What its field says about plaintext. */
  plaintext: z.enum(["accepted", "written"]).optional(),
  /** The system that encrypted before: keys in hex, the first one seals, and additional data with `{id}`. */
  foreign: z.object({ keys: z.array(z.string()), aad: z.string(), writes: z.boolean() }).optional(),
  /** Searches by the blind index, by the dataset's handle and with SQL of its own. */
  searches: z.boolean(),
});

export type Release = z.output<typeof releaseSchema>;

/** What a process did, each act with its answer checked. */
export const countsSchema = z.object({
  writes: z.number(),
  inserts: z.number(),
  deletes: z.number(),
  reads: z.number(),
  /** Of its own, by SQL. */
  searches: z.number(),
  /** By the handle of the dataset. */
  finds: z.number(),
  /** Searches that were made again, because the index changed meanwhile. */
  again: z.number(),
});

export type Counts = z.output<typeof countsSchema>;

/** Rows from this id on are written by a process that was not started anew: searches of an application's own may miss them. */
export const firstLateId = 1_000_000_000;
