import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "../src/api/openapi.ts";
import { referencePage } from "../src/api/reference.ts";
import { routes as table } from "../src/api/routes.ts";
import { allRoutes } from "../src/server/all-routes.ts";
import { root } from "./tools.ts";

// Writes docs/openapi.json and docs/api.md from the route table; test/api/documents.test.ts holds them to it.

const manifest: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "";
const routes = allRoutes({ routes: table, version, health: () => Promise.resolve([]) });
writeFileSync(join(root, "docs", "openapi.json"), `${JSON.stringify(openApiDocument(routes, version), undefined, 1)}\n`);
writeFileSync(join(root, "docs", "api.md"), referencePage(routes));
