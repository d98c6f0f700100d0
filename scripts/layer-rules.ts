/** What the files of one layer may import: other layers, each whole or only for its types. */
export interface LayerRule {
  readonly imports: readonly string[];
  /** May be imported by `import type` only. */
  readonly types?: readonly string[];
  /** Its folders (providers, stores, sources, codecs) never import each other, except these, which they share, and those around them. */
  readonly separateFolders?: { readonly shared: readonly string[] };
  /** The only modules of Node and packages it may import; absent = any. A layer with this list does no I/O. */
  readonly outside?: readonly string[];
}

const ground = [
  "errors",
  "arguments",
  "clock",
  "crypto",
  "durable-file",
  "field-problem",
  "nearest-name",
  "observer",
  "postgres",
  "private-file",
  "process-identity",
  "tls-files",
  "writable",
];
const seams = [...ground, "kek", "store", "access", "audit"];
const domain = [...seams, "keys"];
const services = [...domain, "fields", "datasets", "secrets", "signing", "backup"];

/**
 * The direction of imports: a layer is a file `src/<layer>.ts` or a folder `src/<layer>/`, and imports itself and what its row says.
 *
 *   errors, arguments, clock, crypto, durable-file, field-problem, nearest-name, observer, postgres, private-file, process-identity, tls-files, writable <- {kek, store, access, audit} <- keys <- {fields <- datasets, secrets, signing, backup} <- keystead <- api <- server <- cli
 *
 * metrics and telemetry know what they watch only by the interfaces of observer.
 */
export const layerRules: Readonly<Record<string, LayerRule>> = {
  errors: { imports: [], outside: [] },
  arguments: { imports: ["errors"], outside: ["node:util"] },
  clock: { imports: ["errors"], outside: [] },
  crypto: { imports: ["errors", "arguments", "clock"], outside: ["node:buffer", "node:crypto", "node:util"] },
  "durable-file": { imports: ["errors"] },
  "private-file": { imports: ["errors"] },
  "process-identity": { imports: [] },
  "tls-files": { imports: ["errors", "private-file"] },
  postgres: { imports: ["errors", "private-file", "tls-files"] },
  "field-problem": { imports: [], outside: ["zod"] },
  "nearest-name": { imports: [], outside: [] },
  writable: { imports: [], outside: [] },
  observer: { imports: ["errors"], outside: [] },

  kek: { imports: ground, separateFolders: { shared: [] } },
  store: { imports: ground, separateFolders: { shared: ["sql", "sqlite"] } },
  access: { imports: ground },
  audit: { imports: ground, types: ["access"] },

  keys: { imports: seams },

  fields: { imports: domain },
  datasets: { imports: [...domain, "fields"], separateFolders: { shared: [] } },
  secrets: { imports: domain, separateFolders: { shared: [] } },
  signing: { imports: domain },
  backup: { imports: domain },

  metrics: { imports: ["errors", "clock", "observer", "access"] },
  telemetry: { imports: ["errors", "observer"] },

  keystead: { imports: services },
  index: { imports: [...services, "keystead"] },
  api: { imports: [...services, "keystead", "index"] },
  server: { imports: [...services, "keystead", "index", "api", "metrics", "telemetry"] },
  client: { imports: ["errors", "arguments", "clock", "crypto"], types: ["api"] },
  cli: {
    imports: [
      "errors",
      "clock",
      "durable-file",
      "field-problem",
      "nearest-name",
      "private-file",
      "tls-files",
      "keystead",
      "index",
      "api",
      "client",
      "server",
    ],
  },

  testing: { imports: services },
};
