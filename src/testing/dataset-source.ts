import { testCounting } from "./dataset-source/counting.ts";
import { testDescribing } from "./dataset-source/describing.ts";
import { testPaging } from "./dataset-source/paging.ts";
import { testPlaintext } from "./dataset-source/plaintext.ts";
import { testReplacing } from "./dataset-source/replacing.ts";
import type { DatasetSourceSuite } from "./dataset-source/suite.ts";

export type { DatasetSourceSuite, TestRow, TestTable } from "./dataset-source/suite.ts";

/**
 * The conformance suite of the dataset source seam: what every `DatasetSource` must do, whatever database it is on. Run it for
 * every kind of table that the database knows: kinds of keys, collations, column types, odd names.
 *
 * It needs no test framework of its own: `describe` and `it` are passed in, failures are exceptions of `node:assert`.
 *
 * @example
 * import { describe, it } from "vitest";
 * import { testDatasetSource } from "keystead/testing";
 *
 * testDatasetSource({ name: "PostgreSQL, uuid key", describe, it, layout, forms, types, createTable, keyOf, values, contexts });
 */
export function testDatasetSource(suite: DatasetSourceSuite): void {
  suite.describe(`dataset source: ${suite.name}`, () => {
    suite.describe("describing", () => {
      testDescribing(suite);
    });
    suite.describe("paging", () => {
      testPaging(suite);
    });
    suite.describe("replacing", () => {
      testReplacing(suite);
    });
    suite.describe("counting", () => {
      testCounting(suite);
    });
    if (suite.hasPlaintext === false) return;
    suite.describe("plaintext beside ciphertext", () => {
      testPlaintext(suite);
    });
  });
}
