import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { operationId, openApiDocument } from "../../src/api/openapi.ts";
import { referencePage } from "../../src/api/reference.ts";
import { problemsOf } from "../../src/api/route-problems.ts";
import { routes as table } from "../../src/api/routes.ts";
import { errorCodes, isErrorCode } from "../../src/errors.ts";
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

  it("name the statuses and codes of every refusal", () => {
    const document = JSON.stringify(openApiDocument(routes, "1"));
    expect(document).not.toMatch(/"[45]XX"/);
    const named = new Set(routes.flatMap((route) => [...problemsOf(route)]));
    // What no route answers: only the command line, the client and addresses without a route say it.
    const others: readonly string[] = ["METHOD_NOT_ALLOWED", "SERVER_UNREACHABLE", "STORE_EXISTS", "VERIFICATION_FAILED"];
    expect(Object.keys(errorCodes).filter((code) => !others.includes(code))).toEqual(
      Object.keys(errorCodes).filter((code) => isErrorCode(code) && named.has(code)),
    );
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
