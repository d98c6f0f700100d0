import { readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { importsOf } from "./imports.ts";
import type { ImportSite } from "./imports.ts";
import { layerRules } from "./layer-rules.ts";
import type { LayerRule } from "./layer-rules.ts";
import { listFiles, root } from "./tools.ts";

/** An import that goes the wrong way. */
export interface LayerViolation {
  /** Path from the root folder, with slashes. */
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

interface Place {
  readonly layer: string;
  /** Folder below the layer's, undefined for files that lie in the layer's own. */
  readonly folder: string | undefined;
}

/** Where a file below `src/` belongs. `src/datasets/codecs/openspp/a.ts` is in layer `datasets`, folder `codecs/openspp`. */
function placeOf(path: string): Place {
  const [first = "", ...below] = path.split("/").slice(1);
  return { layer: first.replace(/\.ts$/, ""), folder: below.length < 2 ? undefined : below.slice(0, -1).join("/") };
}

function resolveRelative(from: string, specifier: string): string {
  return join(from, "..", specifier).split(sep).join("/");
}

function checkOutside(rule: LayerRule, layer: string, specifier: string): string | undefined {
  if (rule.outside === undefined || rule.outside.includes(specifier)) return undefined;
  return `${layer} is pure and must not import ${specifier} (allowed: ${rule.outside.join(", ") || "nothing"})`;
}

function checkInside(rule: LayerRule, from: Place, to: Place, typeOnly: boolean): string | undefined {
  if (to.layer === from.layer) {
    const apart = rule.separateFolders !== undefined && from.folder !== undefined && to.folder !== undefined;
    return apart &&
      !isAround(from.folder, to.folder) &&
      !isAround(to.folder, from.folder) &&
      !rule.separateFolders.shared.includes(to.folder)
      ? `${from.layer}/${from.folder} must not import ${to.layer}/${to.folder}`
      : undefined;
  }
  if (rule.imports.includes(to.layer)) return undefined;
  if (rule.types?.includes(to.layer) !== true) return `${from.layer} must not import ${to.layer}`;
  return typeOnly ? undefined : `${from.layer} may import only types of ${to.layer}: use import type`;
}

/** True for a folder that holds another, and for the same one. */
function isAround(outer: string, inner: string): boolean {
  return `${inner}/`.startsWith(`${outer}/`);
}

function checkImport(file: string, site: ImportSite, rules: Readonly<Record<string, LayerRule>>): string | undefined {
  const from = placeOf(file);
  const rule = rules[from.layer];
  if (rule === undefined) return undefined;
  if (site.specifier === undefined) return "the imported path is computed, so its layer can't be checked: import a literal path";
  if (!site.specifier.startsWith(".")) return checkOutside(rule, from.layer, site.specifier);
  const target = resolveRelative(file, site.specifier);
  if (!target.startsWith("src/")) return `src must not import ${target}`;
  return checkInside(rule, from, placeOf(target), site.typeOnly);
}

/**
 * Finds every import below `src/` of a folder that {@link layerRules} doesn't allow.
 * @param folder - a folder that has `src/`
 * @param rules - the table to check against
 */
export function findLayerViolations(folder: string, rules: Readonly<Record<string, LayerRule>> = layerRules): LayerViolation[] {
  const files = listFiles(join(folder, "src"))
    .filter((path) => /\.[cm]?tsx?$/.test(path))
    .map((path) => relative(folder, path).split(sep).join("/"));
  return files.flatMap((file) => {
    if (rules[placeOf(file).layer] === undefined) {
      return [{ file, line: 1, message: `no layer is called ${placeOf(file).layer}: add a row to scripts/layer-rules.ts` }];
    }
    return importsOf(file, readFileSync(join(folder, file), "utf8")).flatMap((site) => {
      const message = checkImport(file, site, rules);
      return message === undefined ? [] : [{ file, line: site.line, message }];
    });
  });
}

if (import.meta.main) {
  const violations = findLayerViolations(root);
  for (const { file, line, message } of violations) process.stdout.write(`${file}:${line} ${message}\n`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}
