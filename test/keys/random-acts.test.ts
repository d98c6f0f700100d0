import { expect, it } from "vitest";
import { fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { expectOneHistory } from "./one-history.ts";

it("many processes that do everything at once leave one history, lose no key, and none meets an error that is not his", async () => {
  const { store } = fileStore(temporaryFolder());
  const { acts, destroyed, activated, foreign } = await expectOneHistory({ store, children: 3, keysteads: 3, acts: "25" });
  expect(acts).toBe(225);
  expect(foreign, "opened texts that another process had sealed").toBeGreaterThan(0);
  expect(destroyed, "destructions that were scheduled and waited for meanwhile").toBeGreaterThan(0);
  expect(activated, "versions whose date came meanwhile").toBeGreaterThan(0);
});
