import { labels, type MetricDefinition, metricDefinitions } from "./definitions.ts";

/** Where the tables stand in docs/monitoring.md. */
export const tableMarks = { begin: "<!-- metrics: made by scripts/server-docs.ts -->", end: "<!-- end of metrics -->" } as const;

/** The metrics and their labels as Markdown, from the definitions. */
export function metricsTables(): string {
  const definitions: Readonly<Record<string, MetricDefinition>> = metricDefinitions;
  const metrics = Object.entries(definitions).map(([name, { type, labels: used, adding, help }]) => [
    `\`${name}\``,
    type,
    used.map((label) => `\`${label}\``).join(", "),
    help,
    type === "gauge" ? (adding ?? "sum") : "sum",
  ]);
  const values = Object.entries(labels).map(([label, text]) => [`\`${label}\``, text]);
  return [
    ...table(["metric", "type", "labels", "what it tells", "of several workers"], metrics),
    "",
    ...table(["label", "values"], values),
  ].join("\n");
}

/** A page with its tables made anew. */
export function withMetricsTables(page: string): string {
  const [before = "", rest = ""] = page.split(tableMarks.begin);
  const [, after = ""] = rest.split(tableMarks.end);
  return `${before}${tableMarks.begin}\n\n${metricsTables()}\n\n${tableMarks.end}${after}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
}
