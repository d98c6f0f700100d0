import { describe, expect, it } from "vitest";
import { jobHint } from "../../src/cli/job-hints.ts";
import { createPersons } from "../datasets/support/persons.ts";

describe("hints on jobs", () => {
  it("name what stops a job that works on the dataset, and what begins another after it", async () => {
    const { keystead } = await createPersons(10);
    expect(await jobHint(keystead, ["crm.person"], true)).toBeUndefined();
    const hints: Promise<string | undefined>[] = [];
    await keystead.datasets.protect("crm.person", {
      onProgress: () => hints.push(jobHint(keystead, ["crm.person"], false), jobHint(keystead, ["crm.visit"], false)),
    });
    expect(await Promise.all(hints.slice(0, 2))).toEqual([
      "`keystead jobs list` shows the job, `keystead jobs pause crm.person` or `keystead jobs cancel crm.person` stops it",
      undefined,
    ]);
    expect(await jobHint(keystead, ["crm.person"], true)).toBe("`keystead datasets protect crm.person` begins another");
    expect(await jobHint(keystead, ["crm.person"], false)).toBeUndefined();
  });
});
