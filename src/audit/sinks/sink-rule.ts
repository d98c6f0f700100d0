import { choice, object, optional, type Rule, rule, type Shape, text } from "../../arguments.ts";
import type { AuditSinkConfig } from "./audit-sink.ts";

type Config<T extends AuditSinkConfig["type"]> = Extract<AuditSinkConfig, { readonly type: T }>;

const count = rule("a whole number from 1", (value) => Number.isSafeInteger(value) && Number(value) >= 1);
const fileShape: Shape<Config<"file">> = { type: choice("file"), path: text, maxBytes: optional(count), keep: optional(count) };
const stdoutShape: Shape<Config<"stdout">> = { type: choice("stdout") };

const rules: { readonly [T in AuditSinkConfig["type"]]: Rule } = {
  file: object<Config<"file">>(fileShape),
  stdout: object<Config<"stdout">>(stdoutShape),
};

/** What the configuration of a sink must be. */
export const auditSinkRule: Rule = (value, path) => {
  const type: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "type") : undefined;
  const own = Object.entries(rules).find(([name]) => name === type)?.[1];
  return own === undefined ? `${path} must be { type: "file", path } or { type: "stdout" }` : own(value, path);
};
