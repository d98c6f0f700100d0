import { describe, expect, it } from "vitest";
import { day } from "../support/test-clock.ts";
import { codeOf } from "../support/test-keystead.ts";
import { startApplication } from "./support/application.ts";
import { countTokens, createSearched, cutOver, found, statesOf } from "./support/searched.ts";

describe("the version of an index key", () => {
  it("may be destroyed once the generation that was made with it is gone", async () => {
    const crm = await createSearched();
    const { keystead, clock } = crm;
    const { keys, datasets } = keystead;
    await keys.rotate("bi");
    await cutOver(crm);
    await expect(keys.destroy("bi", 1)).rejects.toThrow(/blind index crm.person\/email generation 1 is made with it/);
    await datasets.dropGeneration("crm.person", "email", 1);
    await expect(keys.destroy("bi", 1)).rejects.toThrow(/generation 1/);
    await datasets.index("crm.person");
    expect((await keys.destroy("bi", 1)).status).toBe("scheduled");
    clock.advance(7 * day);
    expect((await keys.destroy("bi", 1)).status).toBe("destroyed");
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
    expect((await datasets.index("crm.person")).progress).toMatchObject({ replaced: 0, problems: 0 });
    expect((await datasets.show("crm.person")).indexes).toMatchObject([{ state: "retired" }, { state: "live" }]);
    await expect(keys.destroy("bi", 2)).rejects.toThrow();
  });

  it("is left at once when it is compromised: applications write again before the new generation is whole", async () => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    const { keys, datasets } = keystead;
    const before = await startApplication(keystead, database);
    await keys.rotate("bi");
    await keys.compromise("bi", 1);
    expect(await codeOf(datasets.find("crm.person", "email", ["p8@example.org"]))).toBe("KEY_STATE");
    expect(await codeOf(() => before.write({ id: 1, email: "one@example.org" }))).toBe("KEY_STATE");
    await datasets.startGeneration("crm.person", "email", { column: "email_2" });
    await datasets.dropGeneration("crm.person", "email", 1);
    expect(await statesOf(crm)).toEqual(["1 leaving email_bi", "2 building searched email_2"]);
    const application = await startApplication(keystead, database);
    application.write({ id: 1, email: "one@example.org" });
    expect(await codeOf(datasets.find("crm.person", "email", ["p8@example.org"]))).toBe("JOB_INCOMPLETE");
    await datasets.index("crm.person");
    expect(await statesOf(crm)).toEqual(["1 retired email_bi", "2 live searched email_2"]);
    expect(await found(crm, "one@example.org")).toEqual(["1"]);
    expect(application.find("email", "p8@example.org")).toEqual([8]);
    expect(countTokens(crm, "email_bi")).toBe(0);
  });

  it("hinders no search by the generation after it when it is shut", async () => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    await keystead.keys.rotate("bi");
    await cutOver(crm);
    const application = await startApplication(keystead, database);
    await keystead.keys.suspend("bi", 1);
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
    expect(application.find("email", "p8@example.org")).toEqual([8]);
    expect(await codeOf(() => application.write({ id: 1, email: "one@example.org" }))).toBe("KEY_STATE");
    await keystead.datasets.dropGeneration("crm.person", "email", 1);
    (await startApplication(keystead, database)).write({ id: 1, email: "one@example.org" });
    expect(await found(crm, "one@example.org")).toEqual(["1"]);
  });
});
