import type { AuditSink, AuditSinkConfig } from "./audit-sink.ts";
import { FileSink } from "./file-sink.ts";
import { StdoutSink } from "./stdout-sink.ts";

type Config<T extends AuditSinkConfig["type"]> = Extract<AuditSinkConfig, { readonly type: T }>;

/** How each type of sink is made. */
const sinkTypes: { readonly [T in AuditSinkConfig["type"]]: (config: Config<T>) => AuditSink } = {
  file: (config) => new FileSink(config),
  stdout: () => new StdoutSink(),
};

/** The sinks of a configuration. */
export function createSinks(configs: readonly AuditSinkConfig[]): AuditSink[] {
  return configs.map((config) => (config.type === "file" ? sinkTypes.file(config) : sinkTypes.stdout(config)));
}
