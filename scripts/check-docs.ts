import { join, relative } from "node:path";
import ts from "typescript";
import { z } from "zod";
import { readManifest, root } from "./tools.ts";

/** A public export without a TSDoc comment. */
export interface Undocumented {
  readonly name: string;
  /** Path from the root and line of its declaration. */
  readonly place: string;
}

const exportsSchema = z.record(z.string(), z.union([z.string(), z.object({ types: z.string() })]));

/** The source files behind the `exports` of package.json: `./dist/errors.d.ts` is made of `src/errors.ts`. */
export function publicSources(exports: unknown): string[] {
  return Object.values(exportsSchema.parse(exports)).flatMap((target) =>
    typeof target === "string" ? [] : [target.types.replace(/^\.\/dist\//, "src/").replace(/\.d\.ts$/, ".ts")],
  );
}

/** Finds what is exported by the files, directly or from elsewhere, and has no TSDoc comment where it is declared. */
export function findUndocumented(folder: string, files: readonly string[]): Undocumented[] {
  const config = ts.readConfigFile(join(folder, "tsconfig.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, folder);
  const program = ts.createProgram(
    files.map((file) => join(folder, file)),
    options,
  );
  const checker = program.getTypeChecker();
  const found = new Map<string, Undocumented>();
  for (const file of files) {
    const source = program.getSourceFile(join(folder, file));
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`package.json exports what ${file} should hold, and it is missing or no module`);
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const declarations = symbol.declarations ?? [];
      const [declaration] = declarations;
      // What another package declares is documented there.
      if (declaration === undefined || declaration.getSourceFile().fileName.includes("/node_modules/")) continue;
      if (symbol.getDocumentationComment(checker).length > 0) continue;
      const { fileName } = declaration.getSourceFile();
      const { line } = declaration.getSourceFile().getLineAndCharacterOfPosition(declaration.getStart());
      const place = `${relative(folder, fileName)}:${line + 1}`;
      found.set(place, { name: exported.name, place });
    }
  }
  return [...found.values()];
}

if (import.meta.main) {
  const undocumented = findUndocumented(root, publicSources(readManifest(root).exports));
  for (const { name, place } of undocumented) process.stdout.write(`${place} ${name} is public and has no TSDoc comment\n`);
  process.exitCode = undocumented.length > 0 ? 1 : 0;
}
