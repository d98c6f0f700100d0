import ts from "typescript";

/** One place where a module names another one. */
export interface ImportSite {
  /** As written; undefined when it is computed at run time. */
  readonly specifier: string | undefined;
  /** 1-based. */
  readonly line: number;
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

type Found = Omit<ImportSite, "line">;

function literal(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;
}

function fromImport(node: ts.ImportDeclaration): Found {
  const clause = node.importClause;
  const bindings = clause?.namedBindings;
  const allTypes =
    bindings !== undefined && ts.isNamedImports(bindings) && bindings.elements.length > 0 && bindings.elements.every((e) => e.isTypeOnly);
  const typeOnly = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword || (clause !== undefined && clause.name === undefined && allTypes);
  return { specifier: literal(node.moduleSpecifier), typeOnly };
}

function fromExport(node: ts.ExportDeclaration): Found | undefined {
  if (node.moduleSpecifier === undefined) return undefined;
  const clause = node.exportClause;
  const allTypes =
    clause !== undefined && ts.isNamedExports(clause) && clause.elements.length > 0 && clause.elements.every((e) => e.isTypeOnly);
  return { specifier: literal(node.moduleSpecifier), typeOnly: node.isTypeOnly || allTypes };
}

function isImportMeta(node: ts.Node): boolean {
  return ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword;
}

function fromCall(node: ts.CallExpression): Found | undefined {
  const { expression } = node;
  const isImport = expression.kind === ts.SyntaxKind.ImportKeyword;
  const isRequire = ts.isIdentifier(expression) && expression.text === "require";
  const isResolve = ts.isPropertyAccessExpression(expression) && isImportMeta(expression.expression) && expression.name.text === "resolve";
  return isImport || isRequire || isResolve ? { specifier: literal(node.arguments[0]), typeOnly: false } : undefined;
}

/** `new URL("./worker.ts", import.meta.url)` names a module when the literal looks like one. */
function fromUrl(node: ts.NewExpression): Found | undefined {
  const [path, base] = node.arguments ?? [];
  const specifier = literal(path);
  const relativeToModule = base !== undefined && ts.isPropertyAccessExpression(base) && isImportMeta(base.expression);
  const isUrl = ts.isIdentifier(node.expression) && node.expression.text === "URL";
  return isUrl && relativeToModule && specifier !== undefined && /\.[cm]?[jt]s$/.test(specifier)
    ? { specifier, typeOnly: false }
    : undefined;
}

function fromNode(node: ts.Node): Found | undefined {
  if (ts.isImportDeclaration(node)) return fromImport(node);
  if (ts.isExportDeclaration(node)) return fromExport(node);
  if (ts.isCallExpression(node)) return fromCall(node);
  if (ts.isNewExpression(node)) return fromUrl(node);
  if (ts.isImportTypeNode(node))
    return { specifier: ts.isLiteralTypeNode(node.argument) ? literal(node.argument.literal) : undefined, typeOnly: true };
  if (ts.isExternalModuleReference(node)) return { specifier: literal(node.expression), typeOnly: false };
  return undefined;
}

/** Every import of a TypeScript file: static, dynamic, re-export, import type, `require`, `import.meta.resolve`, module URLs. */
export function importsOf(fileName: string, text: string): ImportSite[] {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, false);
  const sites: ImportSite[] = [];
  const visit = (node: ts.Node): void => {
    const found = fromNode(node);
    if (found !== undefined) sites.push({ ...found, line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1 });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return sites;
}
