import type { Authenticator } from "../access/authenticator.ts";
import type { Caller } from "../access/caller.ts";
import type { KeysteadApi } from "../api/keystead-api.ts";
import type { AnyRoute } from "../api/route.ts";
import type { AuditEvent } from "../audit/event.ts";
import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { ReadinessCheck } from "../keystead/readiness.ts";
import type { RequestObserver } from "../observer.ts";
import type { ServerSettings } from "./settings.ts";
import type { ServerTls } from "./server-tls.ts";

/** Where log lines go. */
export interface LogTarget {
  write(line: string): void;
}

/** The services for one call, which know how many records of it they have begun to write. */
export type ServedApi = KeysteadApi & { readonly records: number };

/** What a server is made of. */
export interface ServerParts {
  readonly routes: readonly AnyRoute[];
  /** The services for a caller; called once for each request. */
  readonly apiFor: (caller: Caller) => ServedApi;
  /** Asked in turn whose token it is. */
  readonly authenticators: readonly Authenticator[];
  /**
   * Records a call of which no service wrote a record, durably.
   * @throws KeysteadError `AUDIT_UNAVAILABLE`
   */
  readonly recordCall: (event: AuditEvent) => Promise<void>;
  /** Everything without which the server can't answer, looked at now. */
  readonly health: () => Promise<readonly ReadinessCheck[]>;
  readonly version: string;
  readonly settings: ServerSettings;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Absent: plain HTTP. */
  readonly tls?: ServerTls;
  /** Hears of every request. Nobody when absent. */
  readonly observer?: RequestObserver;
  /** Absent: nothing is logged. */
  readonly log?: LogTarget;
  /** Checks every answer against its route's schema: for tests, as it costs as much as the answer. */
  readonly checkAnswers?: boolean;
}
