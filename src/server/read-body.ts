import type { IncomingMessage } from "node:http";
import { KeysteadError } from "../errors.ts";
import type { ServerLimits } from "./settings.ts";

/** True when the head of a request says that a body follows. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== "0");
}

/**
 * The whole body of a request; at once when it has arrived.
 * @throws KeysteadError `TOO_LARGE`, `REQUEST_TIMEOUT`; `CANCELLED` when the client went away in the middle
 */
export function readBody(request: IncomingMessage, { bodyBytes, bodyMilliseconds }: ServerLimits): Promise<Buffer> | Buffer {
  const tooLarge = (): KeysteadError => new KeysteadError("TOO_LARGE", `the body is longer than ${bodyBytes} bytes; send less at once`);
  if (Number(request.headers["content-length"]) > bodyBytes) throw tooLarge();
  const arrived = arrivedBody(request);
  if (arrived !== undefined) return arrived;
  return new Promise((resolve, reject) => {
    // It may have ended while it was found out who sends it.
    if (request.destroyed && !request.complete) {
      reject(brokenBody(request.errored));
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      request.off("data", take).off("end", finish).off("error", vanish).off("close", vanish);
      settle();
    };
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= bodyBytes) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      end(() => reject(tooLarge()));
    };
    const finish = (): void => {
      const [first] = chunks;
      end(() => resolve(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, length)));
    };
    const vanish = (cause?: unknown): void => end(() => reject(brokenBody(cause)));
    const timer = setTimeout(() => {
      request.pause();
      end(() => reject(new KeysteadError("REQUEST_TIMEOUT", "the body did not arrive in time; send it at once")));
    }, bodyMilliseconds);
    request.on("data", take).on("end", finish).on("error", vanish).on("close", vanish);
  });
}

/** A body that came with its head, as most do: nobody has to wait for it, and nothing has to be timed. */
function arrivedBody(request: IncomingMessage): Buffer | undefined {
  const { complete, destroyed, readableEnded, readableLength, headers } = request;
  if (!complete || destroyed || readableEnded || readableLength === 0 || readableLength !== Number(headers["content-length"]))
    return undefined;
  // Its end has come, too: reading all that is there tells of it.
  const body: unknown = request.read();
  return Buffer.isBuffer(body) ? body : undefined;
}

/** Why a body will never be whole: the HTTP parser refused the rest, or nobody sends it. */
export function brokenBody(cause: unknown): KeysteadError {
  const code: unknown = cause instanceof Error ? Reflect.get(cause, "code") : undefined;
  return typeof code === "string" && code.startsWith("HPE_") && code !== "HPE_INVALID_EOF_STATE"
    ? new KeysteadError("INVALID_ARGUMENT", "the body is not well-formed HTTP/1.1; correct its chunks", { cause })
    : new KeysteadError("CANCELLED", "the client went away before its request was whole", { cause });
}
