import { KeysteadError } from "../errors.ts";

/** One server-sent event. */
export interface ServerEvent {
  /** `message` when the server gave no name. */
  readonly name: string;
  readonly data: string;
}

const longestEvent = 16 * 1024 * 1024;

/**
 * Reads server-sent events (WHATWG HTML, section 9.2.6) as servers of Keystead write them: lines end with LF.
 * @throws KeysteadError `TOO_LARGE` for an event of more than 16 MiB
 */
export async function* readEvents(source: AsyncIterable<unknown>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of source) {
    if (!(chunk instanceof Uint8Array)) continue;
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf("\n\n"); end !== -1; end = rest.indexOf("\n\n")) {
      const event = parseEvent(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (event !== undefined) yield event;
    }
    if (rest.length > longestEvent) throw new KeysteadError("TOO_LARGE", "an event of the server is longer than 16 MiB");
  }
}

/** Undefined for a comment. */
function parseEvent(text: string): ServerEvent | undefined {
  const data: string[] = [];
  let name = "message";
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") data.push(value);
    if (field === "event") name = value;
  }
  return data.length === 0 ? undefined : { name, data: data.join("\n") };
}
