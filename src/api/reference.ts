import type { AnyRoute } from "./route.ts";
import { routeTags } from "./route-row.ts";

/** The reference of routes, as a Markdown page. */
export function referencePage(routes: readonly AnyRoute[]): string {
  const parts = routeTags.flatMap((tag) => {
    const tagged = routes.filter((route) => route.tag === tag);
    return tagged.length === 0 ? [] : [`## ${tag.slice(0, 1).toUpperCase()}${tag.slice(1)}\n\n${table(tagged)}`];
  });
  return `# API reference

Made from the route table. \`GET /openapi.json\` has every schema, and the statuses and codes that each route refuses calls with. What a
route asks of policies is its action. Names in addresses are percent-encoded: \`/v1/keys/acme%2Fpii-email\`. Failures are problems (RFC 9457)
with a code of [errors.md](errors.md).

${parts.join("\n\n")}
`;
}

function table(routes: readonly AnyRoute[]): string {
  const rows = routes.map(({ method, path, action, otherActions = [], summary, tagged, stream }) => {
    const notes = [
      ...(stream === "ndjson" ? ["lines of JSON"] : []),
      ...(stream === "events" ? ["events"] : []),
      ...(tagged ? ["entity tag"] : []),
    ];
    return [
      `\`${method} ${path}\``,
      action === undefined ? "–" : [action, ...otherActions].map((name) => `\`${name}\``).join(" or "),
      summary + (notes.length > 0 ? ` (${notes.join(", ")})` : ""),
    ];
  });
  const head = ["route", "action", "what it does"];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
