import { KeysteadError } from "../errors.ts";

/** What Fastify says of requests, in the words of Keystead. */
const known: Readonly<Record<string, () => KeysteadError>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new KeysteadError("UNSUPPORTED_MEDIA_TYPE", "the Content-Type of the request is malformed; send one that this address takes"),
  FST_ERR_BAD_URL: () => new KeysteadError("INVALID_ARGUMENT", "the address is not percent-encoded UTF-8; encode it so"),
  FST_ERR_MAX_PARAM_LENGTH: () => new KeysteadError("TOO_LARGE", "a part of the address is longer than the server takes; send less in it"),
};

/** The error behind one that Fastify raised; its own text repeats what was sent. */
export function fromFramework(error: unknown): Error {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  const found = typeof code === "string" ? known[code]?.() : undefined;
  return found ?? (error instanceof Error ? error : new Error("something that is no error was thrown"));
}
