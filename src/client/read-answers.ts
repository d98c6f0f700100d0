import { KeysteadError } from "../errors.ts";

const longestLine = 64 * 1024 * 1024;

/**
 * Reads lines of JSON.
 * @throws KeysteadError `TOO_LARGE` for a line of more than 64 MiB, `SERVER_UNREACHABLE` when the last one has no end
 */
export async function* readAnswers(source: AsyncIterable<unknown>): AsyncGenerator<object> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of source) {
    if (!(chunk instanceof Uint8Array)) continue;
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    const rest = lines.pop() ?? "";
    for (const line of lines) {
      yield parse(parts.join("") + line);
      parts = [];
      length = 0;
    }
    parts.push(rest);
    length += rest.length;
    if (length > longestLine) throw new KeysteadError("TOO_LARGE", "a line of the server's answer is longer than 64 MiB");
  }
  if (length > 0) throw cutOff();
}

/** What is said of an answer that ends before its end. */
export function cutOff(): KeysteadError {
  return new KeysteadError("SERVER_UNREACHABLE", "the server's answer was cut off; send again what was not answered");
}

function parse(line: string): object {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {
    answer = undefined;
  }
  if (typeof answer === "object" && answer !== null) return answer;
  throw new KeysteadError("INTERNAL", "the server answered a line that is no JSON object; is it a Keystead server?");
}
