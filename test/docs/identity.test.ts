import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { oidcIssuersSchema } from "../../src/access/oidc/settings.ts";
import { checkFields } from "../../src/field-problem.ts";

const page = readFileSync("docs/identity.md", "utf8");

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
}

/** A row of the table for each setting: its name, what it is when absent, and what it is. */
function rowsOf({ properties = {}, required = [] }: JsonSchema, before = ""): string[] {
  return Object.entries(properties).flatMap(([name, setting]) => {
    const fallback =
      setting.default === undefined
        ? ""
        : `\`${JSON.stringify(setting.default)
            .replaceAll(/"|[[\]]/g, "")
            .replaceAll(",", ", ")}\``;
    const cells = [`\`${before}${name}\``, required.includes(name) ? "must be given" : fallback, setting.description ?? "(nothing)"];
    return [`| ${cells.join(" | ")} |`.replaceAll(/ +/g, " "), ...rowsOf(setting, `${before}${name}.`)];
  });
}

describe("the page about identity", () => {
  it("has every setting of an issuer, as its schema says", () => {
    const schema = z.toJSONSchema(oidcIssuersSchema, { io: "input" }) as JsonSchema;
    const [, table = ""] = page.split("## Settings of an issuer\n");
    const rows = table
      .split("\n## ")[0]
      ?.split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) => line.replaceAll(/ +/g, " "));
    expect(rows).toEqual(rowsOf(schema.additionalProperties ?? {}));
  });

  it("shows configurations that are good", () => {
    const blocks = [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text = ""]) => text);
    expect(blocks).toHaveLength(2);
    for (const text of blocks) expect(checkFields("it", oidcIssuersSchema, JSON.parse(text))).not.toHaveProperty("problem");
  });
});
