import { z } from "zod";

/** What is read of a JSON Schema. */
const nodeSchema = z.looseObject({
  type: z.string().optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  enum: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
});
type Node = z.infer<typeof nodeSchema>;

/** A table of every setting in a schema. */
export function settingsTable(schema: z.ZodType): string {
  const rows = rowsOf("", z.toJSONSchema(schema, { io: "input" }));
  const head = ["setting", "what it takes", "default", "what it does"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function rowsOf(path: string, value: unknown): string[][] {
  const node = nodeSchema.safeParse(value).data ?? {};
  const own = path === "" || node.description === undefined ? [] : [[`\`${path}\``, takes(node), defaultOf(node), node.description]];
  const named = Object.entries(node.properties ?? {}).flatMap(([name, child]) => rowsOf(path === "" ? name : `${path}.${name}`, child));
  const any = typeof node.additionalProperties === "object" ? rowsOf(`${path}.NAME`, node.additionalProperties) : [];
  const inList = node.items === undefined ? [] : alternativesOf(node.items).flatMap((item) => rowsOf(`${path}.N`, item));
  return [...own, ...named, ...any, ...inList].map((cells) => cells.map((cell) => cell.replaceAll("|", String.raw`\|`)));
}

/** What an item of a list may be. */
function alternativesOf(items: unknown): readonly unknown[] {
  return nodeSchema.safeParse(items).data?.oneOf ?? [items];
}

function takes(node: Node): string {
  if (node.anyOf !== undefined)
    return [...new Set(node.anyOf.map((choice) => takes(nodeSchema.safeParse(choice).data ?? {})))].join(", or ");
  if (node.enum !== undefined) return node.enum.map((word) => `\`${String(word)}\``).join(", ");
  if (node.type === "array") return "a list";
  if (node.type === "boolean") return "true or false";
  if (node.type === "string") return "text";
  if (node.type === "object") return "an object";
  const { minimum = "", maximum = "" } = node;
  if (maximum === Number.MAX_SAFE_INTEGER) return `${minimum.toLocaleString("en")} or more`;
  return `${minimum.toLocaleString("en")} to ${maximum.toLocaleString("en")}`;
}

function defaultOf({ default: value }: Node): string {
  if (value === undefined || (typeof value === "object" && value !== null && Object.keys(value).length === 0)) return "";
  return typeof value === "number" ? value.toLocaleString("en") : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}
