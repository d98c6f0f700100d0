import { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { KeysteadError } from "../errors.ts";
import { problemOf, problemType } from "./problem.ts";

/** What Node's HTTP parser says, in the words of Keystead. Everything else is malformed. */
const known: Readonly<Record<string, KeysteadError>> = {
  HPE_HEADER_OVERFLOW: new KeysteadError(
    "HEADERS_TOO_LARGE",
    "the headers of the request are longer than the server takes; send less in them, or have its limits.headerBytes raised",
  ),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new KeysteadError("TOO_LARGE", "the chunk extensions of the request are too long; leave them out"),
  ERR_HTTP_REQUEST_TIMEOUT: new KeysteadError("REQUEST_TIMEOUT", "the request did not arrive in time; send it at once"),
};
const malformed = new KeysteadError("INVALID_ARGUMENT", "the request is not well-formed HTTP/1.1; correct it");

/** Errors of connections on which nobody listens any more. */
const gone: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "ECONNABORTED"]);

/**
 * Answers what the HTTP parser refused with a problem, and closes the connection: what comes next on it can't be told. Requests before it
 * on the same connection are answered first.
 */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket, requestId: string): void {
  if (gone.has(error.code) || !socket.writable) {
    socket.destroy();
    return;
  }
  const underWay: unknown = Reflect.get(socket, "_httpMessage");
  if (isAnswer(underWay) && !underWay.writableFinished) {
    // Its own body is what is malformed: it will never be whole.
    if (!underWay.req.complete) {
      underWay.req.destroy(error);
      return;
    }
    underWay.once("close", () => {
      // The next of several takes its place now.
      setImmediate(answerClientError, error, socket, requestId);
    });
    return;
  }
  const problem = problemOf(known[error.code ?? ""] ?? malformed, requestId);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    `Content-Type: ${problemType}; charset=utf-8`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => {
    socket.destroy();
  });
}

// The class alone would leave the type of its request open.
function isAnswer(value: unknown): value is ServerResponse {
  return value instanceof ServerResponse;
}
