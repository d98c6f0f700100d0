import { testLifecycle } from "./store/lifecycle.ts";
import { testRows } from "./store/rows.ts";
import type { StoreSuite } from "./store/suite.ts";
import { testTampering } from "./store/tampering.ts";
import { testTransactions } from "./store/transactions.ts";

export type { StorePlace, StoreSuite } from "./store/suite.ts";

/**
 * The conformance suite of the store seam: what every `Store` must do, whatever database it is on.
 *
 * It needs no test framework of its own: `describe` and `it` are passed in, failures are exceptions of `node:assert`. So it
 * runs under vitest, jest, mocha and node:test, and the package depends on none of them.
 *
 * @example
 * import { describe, it } from "vitest";
 * import { testStore } from "keystead/testing";
 *
 * testStore({ name: "PostgreSQL", describe, it, open: async () => await newSchema() });
 */
export function testStore(suite: StoreSuite): void {
  suite.describe(`store: ${suite.name}`, () => {
    suite.describe("lifecycle", () => {
      testLifecycle(suite);
    });
    suite.describe("rows", () => {
      testRows(suite);
    });
    suite.describe("transactions", () => {
      testTransactions(suite);
    });
    suite.describe("tampering", () => {
      testTampering(suite);
    });
  });
}
