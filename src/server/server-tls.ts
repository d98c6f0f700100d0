import type { SecureContextOptions } from "node:tls";

/** Certificates of a server, which may change while it runs. */
export interface ServerTls {
  readonly requestCertificate: boolean;
  readonly context: SecureContextOptions;
  /** Calls `take` with each later context. */
  follow(take: (context: SecureContextOptions) => void): void;
}
