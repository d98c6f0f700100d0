import type { AddedDataset, DatasetInfo } from "../index.ts";
import { formatGenerations } from "./generation-text.ts";
import { formatInstant } from "./instants.ts";
import { formatFacts, formatTable } from "./table.ts";

/** A dataset for people: what it is, its columns, its indexes. */
export function formatDataset(dataset: DatasetInfo | AddedDataset): string {
  const pairs = (template: Readonly<Record<string, string>> | undefined): string | undefined =>
    template &&
    Object.entries(template)
      .map(([name, text]) => `${name}=${text}`)
      .join(", ");
  const facts = formatFacts({
    dataset: dataset.name,
    database: dataset.database,
    table: dataset.table,
    "key columns": dataset.keyColumns.join(", "),
    context: pairs(dataset.context),
    "context types": pairs(dataset.contextTypes),
    "moving to": pairs(dataset.nextContext),
    "moving to types": pairs(dataset.nextContextTypes),
    "left under": dataset.formerContexts.map(({ context }) => pairs(context)).join("; "),
    created: formatInstant(dataset.createdAt),
    rows: "rows" in dataset ? dataset.rows : undefined,
  });
  const protectedColumns = formatTable(dataset.columns, [
    { title: "column", cell: ({ name, column }) => (name === column ? name : `${name} (${column})`) },
    { title: "key", cell: ({ key }) => key },
    { title: "kind", cell: ({ kind }) => kind },
  ]);
  const inUse = dataset.indexes.filter(({ state }) => state !== "retired");
  return `${facts}\n${protectedColumns}${inUse.length === 0 ? "" : `\n${formatGenerations(inUse)}`}`;
}
