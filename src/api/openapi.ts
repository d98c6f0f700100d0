import { z } from "zod";
import { type ErrorCode, errorCodes } from "../errors.ts";
import type { AnyRoute } from "./route.ts";
import { problemsOf, usualCodes } from "./route-problems.ts";
import { routeTags } from "./route-row.ts";

/** A part of an OpenAPI document. */
type Json = Readonly<Record<string, unknown>>;

const tagNotes: Readonly<Record<(typeof routeTags)[number], string>> = {
  data: "Operations on data. Each takes one item, or up to 1,000 as `items`, and answers in the same order, a `problem` in the place of an item that failed.",
  leases: "Derived keys of single prefixes, by which clients seal and open by themselves.",
  keys: "Keys, their versions and their lifecycle.",
  purposes: "Labels of what data keys protect, with their policy.",
  KEKs: "Key-encryption keys, and which of them wraps what.",
  datasets: "Registered places of stored ciphertext.",
  jobs: "What moves stored data, started here and followed by polling or by events.",
  access: "Who may do what.",
  audit: "What was done, by whom.",
  settings: "Settings of the store.",
  server: "The server itself.",
};

/**
 * The OpenAPI 3.1 document of routes.
 * @param version of Keystead
 */
export function openApiDocument(routes: readonly AnyRoute[], version: string): Json {
  const shared = new Map<string, unknown>();
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[route.method.toLowerCase()] = hoist(operation(route), shared);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Keystead",
      version,
      description: "Keys and the stored data they protect. Failures are problems (RFC 9457) with a stable code and the remedy.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    tags: routeTags.map((name) => ({ name, description: tagNotes[name] })),
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "An API token, or a token of an identity provider." } },
      schemas: { ...Object.fromEntries(shared), Problem: problemSchema },
      responses: Object.fromEntries(usualProblems.map(([status, codes]) => [`Problem${status}`, problemResponse(status, codes)])),
    },
  };
}

/** Name of an operation: `POST /v1/keys/:key/rotate` is `postKeysKeyRotate`. */
export function operationId({ method, path }: Pick<AnyRoute, "method" | "path">): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "" && word !== "v1");
  return method.toLowerCase() + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
}

function operation(route: AnyRoute): Json {
  const { summary, tag, action, otherActions, audit } = route;
  const body = bodyOf(route);
  return {
    operationId: operationId(route),
    summary,
    tags: [tag],
    ...(action !== undefined && { "x-keystead-action": action }),
    ...(otherActions !== undefined && { "x-keystead-other-actions": otherActions }),
    security: audit === "none" ? [] : [{ bearer: [] }],
    parameters: [
      ...parametersOf(route.params, "path"),
      ...parametersOf(route.query, "query"),
      ...(route.tagged ? [tagParameter(route)] : []),
    ],
    ...(body !== undefined && { requestBody: body }),
    responses: {
      [String(route.status)]: answerOf(route),
      ...(route.tagged && route.method === "GET" && { "304": { description: "It is what `If-None-Match` names." } }),
      ...Object.fromEntries(byStatus(problemsOf(route)).map(([status, codes]) => [status, refusal(status, codes)])),
    },
  };
}

function parametersOf(schema: z.ZodType, place: "path" | "query"): Json[] {
  const { properties = {}, required = [] } = schemaOf(schema, "input");
  if (typeof properties !== "object" || properties === null) return [];
  return Object.entries(properties).map(([name, property]: [string, unknown]) => ({
    name,
    in: place,
    required: place === "path" || (Array.isArray(required) && required.includes(name)),
    schema: property,
  }));
}

function tagParameter({ method }: AnyRoute): Json {
  const [name, description] =
    method === "GET"
      ? ["If-None-Match", "Entity tag of an answer that came before."]
      : ["If-Match", "Entity tag of an answer that came before, or `*` for whatever is there by now."];
  return { name, in: "header", required: false, schema: { type: "string" }, description };
}

function bodyOf(route: AnyRoute): Json | undefined {
  const schema = schemaOf(route.body, "input");
  const isEmpty =
    typeof schema["properties"] === "object" && Object.keys(schema["properties"] ?? {}).length === 0 && schema["type"] === "object";
  if (isEmpty && schema["additionalProperties"] === false) return undefined;
  const type = route.stream === "ndjson" ? "application/x-ndjson" : "application/json";
  return { required: !route.body.safeParse({}).success, content: { [type]: { schema } } };
}

function answerOf(route: AnyRoute): Json {
  if (route.status === 204) return { description: "Done." };
  if (route.stream === "ndjson" || route.stream === "events") {
    const { type, description, item } = streams[route.stream];
    return { description, content: { [type]: { schema: item(schemaOf(route.answer, "output")) } } };
  }
  const type = route.mediaType?.split(";")[0] ?? "application/json";
  // Of lines the schema is that of each.
  const isJsonText = type === "application/json" || type === streams.ndjson.type;
  const schema = route.mediaType === undefined ? schemaOf(route.answer, "output") : { type: isJsonText ? "object" : "string" };
  return {
    description: "The answer.",
    ...(route.tagged && { headers: { ETag: { schema: { type: "string" }, description: "Entity tag of the answer." } } }),
    content: { [type]: { schema } },
  };
}

/** Reference to the schema of problems. */
const aProblem: Json = { $ref: "#/components/schemas/Problem" };

/** How streams are described: OpenAPI 3.1 has one schema for them, which is that of each item. */
const streams = {
  ndjson: {
    type: "application/x-ndjson",
    description: "The answers, one in each line. A stream that fails on its way ends with a line `streamProblem`.",
    item: (answer: Json): Json => ({
      anyOf: [
        answer,
        { type: "object", properties: { streamProblem: aProblem }, required: ["streamProblem"], additionalProperties: false },
      ],
    }),
  },
  events: {
    type: "text/event-stream",
    description: "The answers, one in each event. A stream that fails on its way ends with an event `problem`.",
    item: (answer: Json): Json => ({
      type: "object",
      properties: {
        event: { type: "string", enum: ["message", "problem"] },
        data: { type: "string", contentMediaType: "application/json", contentSchema: { anyOf: [answer, aProblem] } },
      },
      required: ["data"],
    }),
  },
} as const;

/** Moves what schemas define beside themselves to one place, and lets references lead there. */
function hoist(value: Json, shared: Map<string, unknown>): Json {
  const moved: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    if (name === "$defs" && isJson(part)) for (const [id, schema] of Object.entries(part)) shared.set(id, move(withoutId(schema), shared));
    else moved[name] = name === "$ref" ? String(part).replace("#/$defs/", "#/components/schemas/") : move(part, shared);
  }
  return moved;
}

function move(part: unknown, shared: Map<string, unknown>): unknown {
  if (Array.isArray(part)) return part.map((item) => move(item, shared));
  return isJson(part) ? hoist(part, shared) : part;
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutId(schema: unknown): unknown {
  if (!isJson(schema)) return schema;
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== "id"));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}

const problemSchema: Json = {
  type: "object",
  description: "What went wrong (RFC 9457).",
  properties: {
    type: { type: "string", description: "urn:keystead:error:CODE" },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: Object.keys(errorCodes) },
    detail: { type: "string", description: "What is wrong, and what to do about it." },
    requestId: { type: "string" },
  },
  required: ["type", "title", "status", "code", "detail", "requestId"],
};

/** Codes by their status, ordered by it. */
function byStatus(codes: Iterable<ErrorCode>): readonly (readonly [string, readonly ErrorCode[]])[] {
  const found = new Map<string, ErrorCode[]>();
  for (const code of codes) {
    const status = String(errorCodes[code].status);
    found.set(status, [...(found.get(status) ?? []), code]);
  }
  return [...found].map(([status, some]) => [status, some.sort()] as const).sort(([one], [other]) => Number(one) - Number(other));
}

/** What nearly all routes answer with these codes; the others say it themselves. */
const usualProblems = byStatus(usualCodes);
const usualTexts = new Map(usualProblems.map(([status, codes]) => [status, codes.join()]));

function refusal(status: string, codes: readonly ErrorCode[]): Json {
  return usualTexts.get(status) === codes.join() ? { $ref: `#/components/responses/Problem${status}` } : problemResponse(status, codes);
}

function problemResponse(status: string, codes: readonly ErrorCode[]): Json {
  const properties = { status: { const: Number(status) }, code: { enum: codes } };
  return {
    description: codes.map((code) => `\`${code}\``).join(", "),
    content: { "application/problem+json": { schema: { allOf: [aProblem, { properties }] } } },
  };
}
