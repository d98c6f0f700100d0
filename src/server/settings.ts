import { z } from "zod";
import { oidcIssuersSchema } from "../access/oidc/settings.ts";

const loopback = new Set(["127.0.0.1", "::1", "localhost"]);

/** A whole number with bounds and a default, described in one sentence. */
function whole(fallback: number, least: number, most: number, description: string): z.ZodDefault<z.ZodInt> {
  return z.int().min(least).max(most).default(fallback).describe(description);
}

const file = (description: string): z.ZodString => z.string().min(1).describe(description);

const tlsSchema = z.strictObject({
  certFile: file("File of the certificate in PEM form, followed by those between it and the authority."),
  keyFile: file("File of the certificate's private key in PEM form, readable by its owner alone."),
  clientCaFile: z.exactOptional(file("File with the certificates of the authorities that vouch for clients.")),
  requireClientCertificate: z
    .boolean()
    .default(false)
    .describe("Refuse connections without a certificate that `clientCaFile` vouches for."),
  minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2").describe("Oldest version of TLS that is spoken."),
});

const limitsSchema = z.strictObject({
  bodyBytes: whole(1_048_576, 1_024, 67_108_864, "Bytes of a request's body."),
  lineBytes: whole(1_048_576, 1_024, 67_108_864, "Bytes of one line of a stream (NDJSON)."),
  jsonDepth: whole(32, 4, 256, "How deep JSON may be nested."),
  jsonValues: whole(100_000, 100, 10_000_000, "How many values one JSON text may hold."),
  headerBytes: whole(16_384, 4_096, 1_048_576, "Bytes of a request's headers, its first line included."),
  urlBytes: whole(4_096, 256, 65_536, "Bytes of a request's address."),
  connections: whole(4_096, 1, 1_000_000, "Connections at once; more are closed at once."),
  requestsInFlight: whole(1_000, 1, 100_000, "Requests under way at once; more are answered 503."),
  streams: whole(100, 1, 10_000, "Streams and server-sent events at once; more are answered 503."),
  eventLoopDelayMilliseconds: whole(1_000, 10, 60_000, "Delay of the event loop beyond which new requests are answered 503."),
  headersMilliseconds: whole(10_000, 100, 600_000, "Time in which a request's headers must arrive."),
  bodyMilliseconds: whole(30_000, 100, 600_000, "Time in which a request's body, or the next line of a stream, must arrive."),
  keepAliveMilliseconds: whole(60_000, 1_000, 3_600_000, "How long a connection is kept open between two requests."),
  idleMilliseconds: whole(
    660_000,
    1_000,
    3_600_000,
    "How long a connection with a request under way may be still. The command line waits ten minutes for an answer: a census of a large table takes long.",
  ),
});

const rateLimitsSchema = z.strictObject({
  callsPerMinute: whole(0, 0, 100_000_000, "Calls per minute and credential; 0 means any number."),
  failedAuthenticationsPerMinute: whole(
    60,
    1,
    1_000_000,
    "Failed authentications per minute and address that are answered (401, or 503 while the issuer is away) and recorded one by one; more are answered 429.",
  ),
});

const logSchema = z.strictObject({
  level: z.enum(["silent", "error", "warn", "info"]).default("info").describe("What is logged to stderr, as JSON lines."),
  requests: z
    .enum(["none", "failed", "all"])
    .default("failed")
    .describe("Requests that a line is logged for: its id, route, status, time and principal. The audit tells of all of them."),
});

const metricsSchema = z.strictObject({
  names: z
    .boolean()
    .default(false)
    .describe("Numbers about keys say whose they are; else the oldest, the soonest and the least stand for all."),
});

const telemetrySchema = z.strictObject({
  traces: z
    .boolean()
    .default(false)
    .describe("Make OpenTelemetry spans, by the `@opentelemetry/api` and the SDK that are loaded beside Keystead."),
});

/**
 * Settings of the server: what stands under `server` in `keystead.json`. docs/server-settings.md is made from this schema.
 * Limits hold for each worker.
 */
export const serverSettingsSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .max(255)
      .default("127.0.0.1")
      .describe("Address to listen on. Others than loopback need `tls` or `behindProxy`."),
    port: whole(8_400, 0, 65_535, "Port to listen on; 0 takes any that is free."),
    publicUrl: z.exactOptional(z.url({ protocol: /^https?$/ }).describe("How clients reach the server, when not by `host` and `port`.")),
    tls: z.exactOptional(tlsSchema.describe("Serve HTTPS. The files are read again when they change, and at SIGHUP.")),
    behindProxy: z.boolean().default(false).describe("A proxy in front terminates TLS, so plain HTTP may be served on any address."),
    trustProxy: z
      .union([z.enum(["none", "loopback"]), z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])).min(1)], {
        error: 'must be "none", "loopback" or a list of addresses and networks',
      })
      .default("none")
      .describe("Proxies whose `X-Forwarded-For` tells the client's address: `none`, `loopback`, or a list of addresses and networks."),
    workers: whole(1, 1, 64, "Processes that serve. Each has its own connections to the store, and its own limits."),
    shutdownSeconds: whole(30, 0, 3_600, "How long requests under way may take to finish when the server ends."),
    limits: limitsSchema.prefault({}),
    rateLimits: rateLimitsSchema.prefault({}),
    log: logSchema.prefault({}),
    metrics: metricsSchema.prefault({}),
    telemetry: telemetrySchema.prefault({}),
    issuers: oidcIssuersSchema
      .prefault({})
      .describe(
        "Issuers of OpenID Connect whose bearer tokens are taken, each under a name of its own that becomes part of who its tokens speak for.",
      ),
  })
  .refine(({ host, tls, behindProxy }) => tls !== undefined || behindProxy || loopback.has(host), {
    path: ["host"],
    error:
      "is not loopback, and there is no TLS: tokens would cross the network in the clear; set tls, or behindProxy where a proxy terminates it",
  })
  .refine(({ tls }) => tls?.requireClientCertificate !== true || tls.clientCaFile !== undefined, {
    path: ["tls", "clientCaFile"],
    error: "is missing, and requireClientCertificate is set; name the file of the authorities that vouch for clients",
  });

/** Settings of the server, checked and with defaults filled in. */
export type ServerSettings = Readonly<z.output<typeof serverSettingsSchema>>;

/** Limits of requests and connections. */
export type ServerLimits = ServerSettings["limits"];
