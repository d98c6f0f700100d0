import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { labels, metricDefinitions } from "../../src/metrics/definitions.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { StillClock } from "../metrics/support/still-clock.ts";
import { readYaml, Tree } from "./support/yaml.ts";

const processMetrics = /^# TYPE ((?:process|nodejs)_\S+) /gm;

/** Names of everything that a server tells, without the endings of histograms. */
async function knownMetrics(): Promise<ReadonlySet<string>> {
  const text = await new Metrics({ version: "1", clock: new StillClock() }).read();
  return new Set([...Object.keys(metricDefinitions), ...[...text.matchAll(processMetrics)].map(([, name = ""]) => name)]);
}

async function assertExpression(expression: string): Promise<void> {
  const known = await knownMetrics();
  const named = [...expression.matchAll(/\b(?:keystead|process|nodejs)_\w+/g)].map(([name]) => name.replace(/_(?:bucket|count|sum)$/, ""));
  for (const name of named) expect(known.has(name), `${name} in ${expression}`).toBe(true);
  const grouped = [...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(",").map((label) => label.trim()));
  for (const label of grouped) expect([...Object.keys(labels), "le", "job", "instance"], expression).toContain(label);
  for (const [open, close] of ["()", "{}", "[]"])
    expect(expression.split(open ?? "").length, expression).toBe(expression.split(close ?? "").length);
}

it("the dashboard asks for metrics that there are, and is as Grafana wants it", async () => {
  const dashboard = new Tree(JSON.parse(readFileSync("deploy/grafana/keystead.json", "utf8")));
  expect(dashboard.at("uid").value).toBe("keystead");
  expect(dashboard.at("title").value).toBe("Keystead");
  expect(dashboard.at("schemaVersion").value).toBeGreaterThanOrEqual(36);
  expect(dashboard.at("id").value).toBeUndefined();
  const variables = dashboard.at("templating", "list").list.map((variable) => variable.at("name").value);
  expect(variables).toEqual(["datasource", "job"]);
  await assertExpression(dashboard.at("templating", "list", 1, "query").text);
  const panels = dashboard.at("panels").list;
  expect(new Set(panels.map((panel) => panel.at("id").value)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const panel of panels) {
    const title = panel.at("title").text;
    expect(title).not.toBe("");
    expect(["timeseries", "stat"]).toContain(panel.at("type").value);
    expect(panel.at("datasource").value).toEqual({ type: "prometheus", uid: "${datasource}" });
    expect(panel.at("fieldConfig", "defaults", "unit").text).not.toBe("");
    const [x, y, w, h] = ["x", "y", "w", "h"].map((side) => Number(panel.at("gridPos", side).value));
    expect((x ?? 0) + (w ?? 99), title).toBeLessThanOrEqual(24);
    for (let column = x ?? 0; column < (x ?? 0) + (w ?? 0); column += 1)
      for (let row = y ?? 0; row < (y ?? 0) + (h ?? 0); row += 1) {
        expect(taken.has(`${column} ${row}`), `${title} lies over another`).toBe(false);
        taken.add(`${column} ${row}`);
      }
    const targets = panel.at("targets").list;
    expect(targets.length, title).toBeGreaterThan(0);
    expect(new Set(targets.map((target) => target.at("refId").value)).size).toBe(targets.length);
    for (const target of targets) await assertExpression(target.at("expr").text);
  }
  const shown = JSON.stringify(dashboard.value);
  for (const name of Object.keys(metricDefinitions))
    if (!["keystead_info", "keystead_keys", "keystead_key_facts_age_seconds", "keystead_keys_left_out"].includes(name))
      expect(shown.includes(name), `nothing shows ${name}`).toBe(true);
});

it("alerts ask for metrics that there are, say what to do, and stand in docs/monitoring.md", async () => {
  const [file] = readYaml("deploy/prometheus/alerts.yml");
  const rules = file?.at("groups", 0, "rules").list ?? [];
  const names = rules.map((rule) => rule.at("alert").text);
  expect(names).toEqual(
    expect.arrayContaining(["KeyRotationDue", "KeyBudgetLow", "AuditLagging", "NotReady", "DestructionPendingRefusals"]),
  );
  const page = readFileSync("docs/monitoring.md", "utf8");
  for (const rule of rules) {
    await assertExpression(rule.at("expr").text);
    expect(["warning", "critical"]).toContain(rule.at("labels", "severity").value);
    for (const annotation of ["summary", "description"]) expect(rule.at("annotations", annotation).text).not.toBe("");
    expect(page).toContain(`\`${rule.at("alert").text}\``);
  }
});
