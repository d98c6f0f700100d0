import type { DatasetInfo } from "../index.ts";
import { formatTable } from "./table.ts";

/** Columns that have, or had, their plaintext beside them, as a table for people. */
export function formatShadows(columns: DatasetInfo["columns"]): string {
  return formatTable(
    columns.filter(({ plaintext }) => plaintext !== undefined),
    [
      { title: "column", cell: ({ name }) => name },
      { title: "ciphertext in", cell: ({ column }) => column },
      { title: "plaintext in", cell: ({ plaintext }) => plaintext?.column ?? "" },
      { title: "read", cell: ({ plaintext }) => (plaintext?.use === "read" ? "plaintext" : "ciphertext") },
      { title: "plaintext is", cell: ({ plaintext }) => (plaintext === undefined ? "" : states[plaintext.use]) },
    ],
  );
}

const states = { read: "written", written: "written", none: "being erased", erased: "erased" } as const;

/** What is to be done next about columns that have their plaintext beside them; nothing when there are none. */
export function nextShadowSteps({ name, columns }: Pick<DatasetInfo, "name" | "columns">): string[] {
  return columns.flatMap(({ name: column, plaintext }) => {
    if (plaintext === undefined) return [];
    const command = (verb: string): string => `\`keystead datasets shadow ${verb} ${name} ${column}\``;
    const steps = {
      read: `start every application anew, so that it writes both columns of ${column}; run \`keystead datasets protect ${name}\`; then ${command("cut-over")}`,
      written: `start every application anew, so that it reads the ciphertext of ${column}; then ${command("erase")}`,
      none: `start every application anew, so that none writes the plaintext of ${column} any more; then ${command("erase")} once more`,
      erased: undefined,
    };
    return steps[plaintext.use] ?? [];
  });
}
