import type { Context } from "../crypto/context.ts";
import type { CanonicalValue } from "../fields/canonical-text.ts";
import {
  compileContextTemplate,
  type CompiledContextTemplate,
  contextOfColumn,
  type ContextTemplate,
  renderContext,
} from "../fields/context-template.ts";
import { cellValue } from "../fields/stored-cell.ts";
import { contextColumns } from "./context-types.ts";
import type { DatasetDefinition } from "./definition.ts";
import { placeholdersOf } from "./placeholders.ts";
import type { ColumnContexts } from "./sealed-content.ts";
import type { Cell } from "./source.ts";

/** Renders the contexts of rows from their cells. */
export interface ContextRenderer {
  /** Physical columns that the contexts are made of. */
  readonly columns: readonly string[];
  /**
   * The contexts of one row, by logical column.
   */
  row(cells: Readonly<Record<string, Cell>>): (column: string) => ColumnContexts;
}

/** Checks a dataset's template. @throws KeysteadError `INVALID_ARGUMENT` naming the pair */
export function compileContext(template: ContextTemplate): CompiledContextTemplate {
  return compileContextTemplate(template, placeholdersOf(template));
}

/** The renderer of a dataset's contexts, of both templates while a `recontext` runs. */
export function rowContexts({ context, contextTypes, nextContext, nextContextTypes }: DatasetDefinition): ContextRenderer {
  const now = compileContextTemplate(context, contextColumns(context, contextTypes));
  const next = nextContext === null ? undefined : compileContextTemplate(nextContext, contextColumns(nextContext, nextContextTypes));
  return {
    columns: [...new Set([...now.columns, ...(next?.columns ?? [])])],
    row: (cells) => {
      const rowNow = rowOnce(now, cells);
      const rowNext = next === undefined ? undefined : rowOnce(next, cells);
      return (column) => ({
        get now() {
          return contextOfColumn(rowNow(), column);
        },
        get next() {
          return rowNext === undefined ? undefined : contextOfColumn(rowNext(), column);
        },
      });
    },
  };
}

/** The context of a row, rendered when it is first asked for: what is not sealed needs none. */
function rowOnce(template: CompiledContextTemplate, cells: Readonly<Record<string, Cell>>): () => Context {
  let context: Context | undefined;
  return () => (context ??= renderContext(template, Object.fromEntries(template.columns.map((name) => [name, valueOf(cells, name)]))));
}

function valueOf(cells: Readonly<Record<string, Cell>>, column: string): CanonicalValue {
  const cell = cells[column];
  return cell === undefined ? null : cellValue(cell, `context column ${column}`);
}
