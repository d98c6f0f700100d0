import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { operationId, openApiDocument } from "../../src/api/openapi.ts";
import { referencePage } from "../../src/api/reference.ts";
import { routes as table } from "../../src/api/routes.ts";
import { allRoutes } from "../../src/server/all-routes.ts";
import packageJson from "../../package.json" with { type: "json" };

const routes = allRoutes({ routes: table, version: packageJson.version, health: () => Promise.resolve([]) });
const remedy = "run `node scripts/api-docs.ts` and look at what changed";

describe("documents made from the route table", () => {
  it("are current: docs/openapi.json", () => {
    const made = `${JSON.stringify(openApiDocument(routes, packageJson.version), undefined, 1)}\n`;
    expect(readFileSync("docs/openapi.json", "utf8") === made, remedy).toBe(true);
  });

  it("are current: docs/api.md", () => {
    expect(readFileSync("docs/api.md", "utf8") === referencePage(routes), remedy).toBe(true);
  });

  it("name every operation once", () => {
    const ids = routes.map(operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("have references that lead somewhere, and no zod of their own", () => {
    const document = openApiDocument(routes, "1");
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(50);
    const components: unknown = JSON.parse(JSON.stringify(document["components"]));
    for (const [, kind = "", name = ""] of references) expect(components, `${kind} ${name}`).toHaveProperty([kind, name]);
    expect(text).not.toContain("$defs");
    expect(text).not.toContain("__schema");
  });
});
