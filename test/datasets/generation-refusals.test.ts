import { describe, expect, it } from "vitest";
import type { DatasetService, IndexGenerationInput } from "../../src/index.ts";
import { createSearched, found, statesOf } from "./support/searched.ts";

describe("another generation of an index", () => {
  it.each<[what: string, act: (datasets: DatasetService) => Promise<unknown>, code: string, words: RegExp]>([
    [
      "an unknown index",
      (datasets) => datasets.startGeneration("crm.person", "mail", { column: "email_2" }),
      "INVALID_ARGUMENT",
      /no index of this name; it has: email/,
    ],
    [
      "the column of the one there is",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "EMAIL_BI" }),
      "INVALID_ARGUMENT",
      /named twice/,
    ],
    [
      "a protected column",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "name" }),
      "INVALID_ARGUMENT",
      /column name is named twice/,
    ],
    [
      "a column that isn't there",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "email_4" }),
      "DATASET_UNSUITABLE",
      /email_4/,
    ],
    [
      "a column in which something is",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "notes" }),
      "DATASET_UNSUITABLE",
      /1200 values/,
    ],
    [
      "a normaliser too many",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "email_2", normalisers: ["text", "text"] }),
      "INVALID_ARGUMENT",
      /one normaliser for each/,
    ],
    [
      "an unknown kind",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "email_2", kind: "guess" }),
      "INVALID_ARGUMENT",
      /kind of index/,
    ],
    [
      "too few bits",
      (datasets) => datasets.startGeneration("crm.person", "email", { column: "email_2", bits: 1 }),
      "INVALID_ARGUMENT",
      /bits/,
    ],
    [
      "an unknown property",
      (datasets) => datasets.startGeneration("crm.person", "email", JSON.parse('{"column":"email_2","key":"bi"}') as IndexGenerationInput),
      "INVALID_ARGUMENT",
      /key/,
    ],
    [
      "a number that is none",
      (datasets) => datasets.cutOver("crm.person", "email", Number.NaN),
      "INVALID_ARGUMENT",
      /no such generation; in use: 1/,
    ],
    [
      "cutting over to what is searched",
      (datasets) => datasets.cutOver("crm.person", "email", 1),
      "INVALID_ARGUMENT",
      /is searched already|searched already/,
    ],
    [
      "dropping the only one",
      (datasets) => datasets.dropGeneration("crm.person", "email", 1),
      "INVALID_ARGUMENT",
      /the only one.*generation start/,
    ],
    [
      "dropping the one that is searched",
      async (datasets) => {
        await datasets.startGeneration("crm.person", "email", { column: "email_2" });
        try {
          return await datasets.dropGeneration("crm.person", "email", 1);
        } finally {
          await datasets.dropGeneration("crm.person", "email", 2);
          await datasets.index("crm.person");
        }
      },
      "CONFLICT",
      /generation cut-over crm.person email 2/,
    ],
  ])("is refused: %s; and searches go on", async (_, act, code, words) => {
    const crm = await createSearched();
    await expect(act(crm.keystead.datasets)).rejects.toMatchObject({ code, message: expect.stringMatching(words) as unknown });
    expect((await statesOf(crm)).filter((state) => !state.includes("retired"))).toEqual(["1 live searched email_bi"]);
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
  });
});
