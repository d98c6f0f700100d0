import { z } from "zod";
import { assertCodecConfig, type CodecConfig } from "../../../src/index.ts";

const stepNames = ["protect", "import", "index", "cut-over-index", "cut-over-column", "erase-column"] as const;

/** What a process of its own does to `crm.person`. */
export type StepName = (typeof stepNames)[number];

export const stepSchema = z.object({
  /** URL of the store. */
  store: z.string(),
  /** URL of the database. */
  crm: z.string(),
  step: z.enum(stepNames),
  codecs: z.record(
    z.string(),
    z.unknown().transform((config): CodecConfig => {
      assertCodecConfig("legacy", config);
      return config;
    }),
  ),
  rowsPerSecond: z.number(),
});

export type Step = z.output<typeof stepSchema>;
