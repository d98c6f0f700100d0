import { isKeysteadError, KeysteadError } from "../errors.ts";
import { isTokenFailure } from "./ask-token.ts";
import { mayPassLater } from "./call-failures.ts";
import type { EndpointAnswer } from "./endpoints.ts";
import type { HttpCalls } from "./http-calls.ts";

type Sighting = EndpointAnswer<"GET /v1/datasets/:dataset/job/events">;

/** Milliseconds since a connection was lost, in which nothing is heard, at most: as long as a server or an issuer of tokens may take to begin anew. */
const longestLoss = 120_000;
/** Milliseconds between two connections. */
const pauseMilliseconds = 1_000;

/** What a server tells of the job on a dataset. When the connection is lost, or the token expires, it is asked again. */
export class JobSightings {
  readonly #http: HttpCalls;
  readonly #dataset: string;
  #isHeard = false;
  /** When the connection was lost behind what was heard last. */
  #lost: number | undefined;
  /** True once a token was refused behind what was heard last. */
  #isRefused = false;

  constructor(http: HttpCalls, dataset: string) {
    this.#http = http;
    this.#dataset = dataset;
  }

  /** Never ends by itself. @throws KeysteadError `SERVER_UNREACHABLE` when nothing was heard for two minutes, and what does not pass */
  async *[Symbol.asyncIterator](): AsyncGenerator<Sighting, never> {
    for (;;) {
      let failure: unknown;
      try {
        for await (const sighting of this.#http.events("GET /v1/datasets/:dataset/job/events", { params: { dataset: this.#dataset } })) {
          this.#isHeard = true;
          this.#lost = undefined;
          this.#isRefused = false;
          yield sighting;
        }
      } catch (error) {
        if (!this.#mayPass(error)) throw error;
        failure = error;
      }
      const now = this.#http.clock.monotonic();
      this.#lost ??= now;
      if (now - this.#lost >= longestLoss) throw notTold(this.#dataset, failure);
      await this.#http.wait(pauseMilliseconds);
    }
  }

  #mayPass(error: unknown): boolean {
    if (!isKeysteadError(error)) return false;
    if (mayPassLater(error)) return true;
    // Whoever was let in before may have a newer token by now. That is refused as well when the right to it is gone.
    if (error.code !== "UNAUTHENTICATED" || !this.#isHeard) return false;
    if (isTokenFailure(error)) return true;
    const isFirst = !this.#isRefused;
    this.#isRefused = true;
    return isFirst;
  }
}

function notTold(dataset: string, cause: unknown): KeysteadError {
  return new KeysteadError(
    "SERVER_UNREACHABLE",
    `the server does not tell any more how the job on dataset ${dataset} goes; look at it with \`keystead jobs show ${dataset}\``,
    { cause },
  );
}
