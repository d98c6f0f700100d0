import { KeysteadError } from "../../errors.ts";
import { suggestName } from "../layout.ts";
import type { SourceLayout } from "../source.ts";
import { checkLayout } from "./check-layout.ts";
import { withDocumentPaths } from "./document-path.ts";
import type { Session } from "./postgres-connection.ts";
import { RowLocator } from "./row-locator.ts";
import { RowReader } from "./row-reader.ts";
import { RowReplacer } from "./row-replacer.ts";
import { readTableFacts, readTableNames, type TableFacts } from "./table-facts.ts";
import type { TableName } from "./table-name.ts";

/** A table as it was found, and what works on it. */
export interface OpenTable {
  readonly version: string;
  readonly facts: TableFacts;
  readonly locator: RowLocator;
  readonly reader: RowReader;
  readonly replacer: RowReplacer;
}

/**
 * Looks at the table.
 * @throws KeysteadError `DATASET_UNSUITABLE` when there is none, or it can't be worked on
 */
export async function openTable(session: Session, layout: SourceLayout, name: TableName): Promise<OpenTable> {
  const found = await readTableFacts(session, name);
  if (found === undefined || session.tableVersion === undefined) {
    const suggestion = suggestName(layout.table, await readTableNames(session), "tables");
    throw new KeysteadError("DATASET_UNSUITABLE", `table "${layout.table}" does not exist${suggestion}`);
  }
  const facts = withDocumentPaths(layout, found);
  checkLayout(layout, facts);
  const locator = new RowLocator(layout, facts);
  return {
    version: session.tableVersion,
    facts,
    locator,
    reader: new RowReader(layout, name, facts, locator),
    replacer: new RowReplacer(layout, name, facts, locator),
  };
}
