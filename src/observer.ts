import { isKeysteadError } from "./errors.ts";

/** How an act ended, as the audit says it. */
export type ActOutcome = "allowed" | "denied" | "failed";

/** How an act ended that threw. */
export function failureOutcome(error: unknown): "denied" | "failed" {
  return isKeysteadError(error, "ACCESS_DENIED") || isKeysteadError(error, "APPROVAL_REQUIRED") ? "denied" : "failed";
}

/** How many items of a batch ended how. */
export type ItemOutcomes = Readonly<Record<ActOutcome, number>>;

/** What is asked of a KEK. */
export type KekOperation = "open" | "wrap" | "unwrap" | "close";

/** Rows that a job went through. */
export interface JobRows {
  /** What job: `reencrypt`. */
  readonly kind: string;
  /** Kind of database, by the scheme of its URL. */
  readonly source: string;
  readonly read: number;
  readonly replaced: number;
  /** Changed by somebody else meanwhile, so that they are looked at again. */
  readonly changed: number;
  readonly problems: number;
}

/** A request to a server, as observers see it: never its address, its query or its body. */
interface SeenRequest {
  readonly method: string;
  /** The path of the row in the route table; `none` where no row has the address. */
  readonly route: string;
}

/** A request whose answer is under way. */
export interface BegunRequest extends SeenRequest {
  /** Status of its answer; what it is before that means nothing. */
  readonly status: () => number;
  /** Header fields by which traces go on (W3C Trace Context), and nothing else. */
  readonly trace: Readonly<Record<string, string>>;
}

/** A request that was answered. */
export interface EndedRequest extends SeenRequest {
  readonly status: number;
}

/** What watches the requests to a server. */
export interface RequestObserver {
  /** Runs what answers a request, for who carries something around it: traces. Absent: nobody does. */
  readonly request?: <T>(request: BegunRequest, work: () => Promise<T>) => Promise<T>;
  requestBegan(): void;
  requestEnded(request: EndedRequest, milliseconds: number): void;
}

/**
 * What watches the engine for the people who run it: metrics, traces. It hears which acts happen, how they end and how long they take:
 * never a value, a context, a principal or the text of an error. It must not throw, apart from what the work throws.
 */
export interface Observer extends RequestObserver {
  /**
   * Runs an act, for who carries something around it: traces. `outcomeOf` tells how an act ended that did not throw; `allowed` when it is
   * absent. Absent: nobody does.
   */
  readonly act?: <T>(action: string, work: () => Promise<T>, outcomeOf?: (result: T) => ActOutcome) => Promise<T>;
  actEnded(action: string, outcome: ActOutcome, milliseconds: number): void;
  /** The items of a batch, which is one act. */
  items(action: string, outcomes: ItemOutcomes): void;
  /** Runs a call to a KEK provider. */
  kekCall<T>(operation: KekOperation, work: () => Promise<T>): Promise<T>;
  jobRows(rows: JobRows): void;
}

const nothing = (): void => undefined;

/** Nobody watches. */
const noObserver: Observer = {
  actEnded: nothing,
  items: nothing,
  kekCall: (_operation, work) => work(),
  jobRows: nothing,
  requestBegan: nothing,
  requestEnded: nothing,
};

/** One observer of several: the first is outermost. What one of them leaves out it does not hear of. */
export function observers(parts: readonly Partial<Observer>[]): Observer {
  return parts.map((part) => ({ ...noObserver, ...boundTo(part) })).reduceRight(around, noObserver);
}

/** Counts how often something was at hand. Counting costs an addition; who watches reads it. */
export interface CacheUse {
  hits: number;
  misses: number;
}

/** Names of the caches that are watched. */
export const cacheNames = ["handles", "decisions", "oidc-tokens"] as const;

/** What is kept at hand: open keys, decisions of policies, verified tokens of identity providers. */
export type CacheName = (typeof cacheNames)[number];

/** What is to be known of a key to look after it. */
export interface KeyFact {
  readonly name: string;
  /** Milliseconds since its current version was made; absent without one. */
  readonly age?: number;
  /** Milliseconds until its policy asks for the next version; negative when that is overdue. */
  readonly toRotation?: number;
  /** Messages that its current version may still seal, where its algorithm has a limit, and that limit. */
  readonly budget?: { readonly left: number; readonly limit: number };
  /** Versions that wait for destruction. */
  readonly pending: number;
  /** Attempts to open what such versions sealed, where somebody tried since they wait. */
  readonly attempts: number;
}

/** The keys of a store, as far as they were looked at. */
export interface KeyFacts {
  readonly keys: readonly KeyFact[];
  /** Keys in the store; more than {@link keys} in a store of very many. */
  readonly total: number;
}

/** One thing without which there are no answers. */
export interface HealthFact {
  readonly check: string;
  readonly ready: boolean;
}

/** What metrics read when somebody asks for them. */
export interface MetricsSource {
  readonly caches?: Partial<Readonly<Record<CacheName, Readonly<CacheUse>>>>;
  readonly keys?: () => Promise<KeyFacts>;
  /** Audit records that are durable on this host and not in the store yet. */
  readonly auditLag?: () => number;
  readonly health?: () => Promise<readonly HealthFact[]>;
}

/** Numbers for people who run the engine; `Metrics` of `src/metrics` in Prometheus' text format. */
export interface MetricsCollector extends Partial<Observer> {
  /** Reads these from now on, too. */
  attach(source: MetricsSource): void;
  /** All numbers as text. */
  read(): Promise<string>;
}

function around(inner: Observer, outer: Observer): Observer {
  if (inner === noObserver) return outer;
  const act = nested(
    outer.act,
    inner.act,
    (act, within) => (action, work, outcomeOf) => act(action, () => within(action, work, outcomeOf), outcomeOf),
  );
  const request = nested(outer.request, inner.request, (serve, within) => (request, work) => serve(request, () => within(request, work)));
  return {
    ...(act !== undefined && { act }),
    ...(request !== undefined && { request }),
    actEnded: (action, outcome, milliseconds) => {
      outer.actEnded(action, outcome, milliseconds);
      inner.actEnded(action, outcome, milliseconds);
    },
    items: (action, outcomes) => {
      outer.items(action, outcomes);
      inner.items(action, outcomes);
    },
    kekCall: (operation, work) => outer.kekCall(operation, () => inner.kekCall(operation, work)),
    jobRows: (rows) => {
      outer.jobRows(rows);
      inner.jobRows(rows);
    },
    requestBegan: () => {
      outer.requestBegan();
      inner.requestBegan();
    },
    requestEnded: (request, milliseconds) => {
      outer.requestEnded(request, milliseconds);
      inner.requestEnded(request, milliseconds);
    },
  };
}

/** One around the other; the one that is there where the other is not. */
function nested<F>(outer: F | undefined, inner: F | undefined, nest: (outer: F, inner: F) => F): F | undefined {
  return outer !== undefined && inner !== undefined ? nest(outer, inner) : (outer ?? inner);
}

function boundTo(part: Partial<Observer>): Partial<Observer> {
  return {
    ...(part.act !== undefined && { act: part.act.bind(part) }),
    ...(part.actEnded !== undefined && { actEnded: part.actEnded.bind(part) }),
    ...(part.items !== undefined && { items: part.items.bind(part) }),
    ...(part.kekCall !== undefined && { kekCall: part.kekCall.bind(part) }),
    ...(part.jobRows !== undefined && { jobRows: part.jobRows.bind(part) }),
    ...(part.request !== undefined && { request: part.request.bind(part) }),
    ...(part.requestBegan !== undefined && { requestBegan: part.requestBegan.bind(part) }),
    ...(part.requestEnded !== undefined && { requestEnded: part.requestEnded.bind(part) }),
  };
}
