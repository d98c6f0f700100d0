import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { listFiles, root } from "./tools.ts";

// Renders the Helm chart into test/deploy/fixtures/chart.yaml, whose first line has the digest of the chart: tests look at it without Helm.
// node scripts/render-chart.ts [HELM]

const chart = join(root, "deploy", "helm", "keystead");

/** Values under which everything in the chart is rendered. */
export const chartValues: Readonly<Record<string, string>> = {
  storeUrl: "postgresql://keystead@db.example.org/registry?sslmode=verify-full",
  "secrets.masterKey": "keystead-master-key",
  "secrets.pgpass": "keystead-pgpass",
  "secrets.tls": "keystead-tls",
  "secrets.ca": "keystead-ca",
  "secrets.extra": "keystead-extra",
  "server.issuers.main.issuer": "https://id.example.org/realms/main",
  "server.issuers.main.audience": "keystead",
};

/** SHA-256 of every file of the chart. */
export function chartDigest(): string {
  const digest = createHash("sha256");
  for (const file of listFiles(chart).sort()) digest.update(`${relative(chart, file)}\n`).update(readFileSync(file));
  return digest.digest("hex");
}

/** What `helm template` makes of the chart. @throws Error with what Helm says */
export function renderChart(helm: string): string {
  const values = Object.entries(chartValues).flatMap(([name, value]) => ["--set-string", `${name}=${value}`]);
  const args = ["template", "release", chart, "--kube-version", "1.31.0", "--namespace", "keys", ...values];
  const { status, stdout, stderr, error } = spawnSync(helm, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${helm} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

if (import.meta.main) {
  const text = `# chart ${chartDigest()}\n${renderChart(process.argv[2] ?? "helm")}`;
  writeFileSync(join(root, "test", "deploy", "fixtures", "chart.yaml"), text);
}
