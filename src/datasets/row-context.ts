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
import type { DatasetDefinition } from "./definition.ts";
import type { ColumnContexts } from "./sealed-content.ts";
import type { Cell } from "./source.ts";

/** Renders the contexts of rows from their cells. */
export interface ContextRenderer {
  /** Physical columns that the contexts are made of. */
  readonly columns: readonly string[];
  /**
   * The contexts of one row, by logical column. Rendered when first asked for.
   * @throws KeysteadError `INVALID_ARGUMENT` from the returned function, for NULL, floating point and invalid text
   */
  row(cells: Readonly<Record<string, Cell>>): (column: string) => ColumnContexts;
}

/** Names in braces in a template. */
export function placeholdersOf(template: ContextTemplate): string[] {
  return Object.values(template).flatMap((text) =>
    [...text.replaceAll(/\{\{|\}\}/g, "").matchAll(/\{([^{}]+)\}/g)].map((match) => match[1] ?? ""),
  );
}

/** Checks a dataset's template. @throws KeysteadError `INVALID_ARGUMENT` naming the pair */
export function compileContext(template: ContextTemplate): CompiledContextTemplate {
  return compileContextTemplate(template, placeholdersOf(template));
}

/** The renderer of a dataset's contexts, of both templates while a `recontext` runs. */
export function rowContexts({ context, nextContext }: DatasetDefinition): ContextRenderer {
  const now = compileContext(context);
  const next = nextContext === null ? undefined : compileContext(nextContext);
  const columns = [...new Set([...now.columns, ...(next?.columns ?? [])])];
  return {
    columns,
    row: (cells) => {
      let rendered: { readonly now: Context; readonly next: Context | undefined } | undefined;
      return (column) => {
        if (rendered === undefined) {
          const values = Object.fromEntries(columns.map((name) => [name, valueOf(cells, name)]));
          rendered = { now: renderContext(now, values), next: next === undefined ? undefined : renderContext(next, values) };
        }
        return {
          now: contextOfColumn(rendered.now, column),
          next: rendered.next === undefined ? undefined : contextOfColumn(rendered.next, column),
        };
      };
    },
  };
}

function valueOf(cells: Readonly<Record<string, Cell>>, column: string): CanonicalValue {
  const cell = cells[column];
  return cell === undefined ? null : cellValue(cell, `context column ${column}`);
}
