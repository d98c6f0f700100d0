import { afterAll } from "vitest";
import { recordReport } from "./canary.ts";
import { recordUnfinished } from "./watched-child.ts";

/**
 * At the end of each test file its worker's diagnostic report joins what is searched for secrets. Environment and network are
 * left out by options in the configuration: the first is the caller's, the second takes seconds to name its hosts.
 */
afterAll(() => {
  recordUnfinished();
  recordReport(process.report.getReport());
});
