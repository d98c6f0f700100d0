import { quoteIdentifier } from "../../postgres/identifier.ts";

const part = /"(?:[^"]|"")*"|[^".][^.]*/.source;
const dotted = new RegExp(`^(?:${part})(?:\\.(?:${part}))*$`, "s");

/** The parts of a name that {@link joinName} writes, or of another spelling of it; undefined for what is no name of parts. */
export function splitName(text: string): string[] | undefined {
  if (!dotted.test(text)) return undefined;
  const parts = text.match(new RegExp(part, "gs")) ?? [];
  return parts.map((spelled) => (spelled.startsWith('"') ? spelled.slice(1, -1).replaceAll('""', '"') : spelled));
}

/** The one text of a name: a part that is empty, has a dot, or begins with a double quote, stands in double quotes, those in it doubled. */
export function joinName(parts: readonly string[]): string {
  return parts.map((name) => (name === "" || name.includes(".") || name.startsWith('"') ? quoteIdentifier(name) : name)).join(".");
}
