import type { KeysteadApi } from "../api/keystead-api.ts";
import { one } from "./batch-answers.ts";
import { dataItems } from "./data-items.ts";
import type { LineAnswer, LineEndpoint, LineSent } from "./endpoints.ts";
import type { HttpCalls } from "./http-calls.ts";
import type { LineSource } from "./line-feed.ts";

/** What a stream takes beside its items. */
export interface StreamOptions {
  /** Ends it. */
  readonly signal?: AbortSignal;
}

type StreamOf<Many> = Many extends (items: readonly (infer I)[]) => Promise<readonly (infer A)[]>
  ? (items: LineSource<I>, options?: StreamOptions) => AsyncGenerator<A>
  : never;

/**
 * Operations on as many items as there are, over one request: for each in order what it gives, or the problem with it, as the methods for
 * many items answer. Items are taken as answers are, and at most some hundred ahead of them. Leaving the loop ends the request.
 * Each throws a KeysteadError: what the server refuses the stream for, `SERVER_UNREACHABLE` when it is cut off, `CANCELLED`; and what the
 * source of the items throws. What was answered until then counts.
 */
export interface DataStreams {
  readonly encrypt: StreamOf<KeysteadApi["encryptMany"]>;
  readonly decrypt: StreamOf<KeysteadApi["decryptMany"]>;
  readonly rewrap: StreamOf<KeysteadApi["rewrapMany"]>;
  readonly mac: StreamOf<KeysteadApi["macMany"]>;
  readonly verifyMac: StreamOf<KeysteadApi["verifyMacMany"]>;
  readonly hash: StreamOf<KeysteadApi["hashMany"]>;
  readonly randomBytes: StreamOf<KeysteadApi["randomBytesMany"]>;
  readonly createDataKeys: StreamOf<KeysteadApi["dataKeys"]["createMany"]>;
  readonly openDataKeys: StreamOf<KeysteadApi["dataKeys"]["openMany"]>;
  readonly tokens: StreamOf<KeysteadApi["datasets"]["tokensMany"]>;
}

/** Streams, each of its route. */
export function dataStreams(http: HttpCalls): DataStreams {
  return {
    encrypt: stream(http, "POST /v1/streams/encrypt", dataItems.encrypt.sent, (answer) => one(answer, dataItems.encrypt.got)),
    decrypt: stream(http, "POST /v1/streams/decrypt", dataItems.decrypt.sent, (answer) => one(answer, dataItems.decrypt.got)),
    rewrap: stream(http, "POST /v1/streams/rewrap", dataItems.rewrap.sent, (answer) => one(answer, dataItems.rewrap.got)),
    mac: stream(http, "POST /v1/streams/mac", dataItems.mac.sent, (answer) => one(answer, dataItems.mac.got)),
    verifyMac: stream(http, "POST /v1/streams/mac/verify", dataItems.verifyMac.sent, (answer) => one(answer, dataItems.verifyMac.got)),
    hash: stream(http, "POST /v1/streams/hash", dataItems.hash.sent, (answer) => one(answer, dataItems.hash.got)),
    randomBytes: stream(http, "POST /v1/streams/random", dataItems.randomBytes.sent, (answer) => one(answer, dataItems.randomBytes.got)),
    createDataKeys: stream(http, "POST /v1/streams/data-keys", dataItems.createDataKey.sent, (answer) =>
      one(answer, dataItems.createDataKey.got),
    ),
    openDataKeys: stream(http, "POST /v1/streams/data-keys/open", dataItems.openDataKey.sent, (answer) =>
      one(answer, dataItems.openDataKey.got),
    ),
    tokens: stream(http, "POST /v1/streams/index", dataItems.tokens.sent, (answer) => one(answer, dataItems.tokens.got)),
  };
}

function stream<E extends LineEndpoint, I, A>(
  http: HttpCalls,
  endpoint: E,
  sent: (item: I) => LineSent<E>,
  got: (answer: LineAnswer<E>) => A,
): (items: LineSource<I>, options?: StreamOptions) => AsyncGenerator<A> {
  return async function* streamed(items, { signal } = {}) {
    for await (const answer of http.lines(endpoint, items, sent, signal)) yield got(answer);
  };
}
