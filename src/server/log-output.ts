import { writeSync } from "node:fs";

const flushMilliseconds = 100;
const mostText = 65_536;

/** Log lines for a file descriptor, written together: a system call for each would cost as much as the request it tells of. */
export class LogOutput {
  readonly #descriptor: number;
  #text = "";
  #timer: NodeJS.Timeout | undefined;

  /** @param descriptor - 2: the standard error of the process */
  constructor(descriptor = 2) {
    this.#descriptor = descriptor;
  }

  write(line: string): void {
    this.#text += line;
    if (this.#text.length > mostText) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), flushMilliseconds).unref();
  }

  /** Writes what waits. A reader that is gone or behind loses lines rather than stopping the server. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let rest = Buffer.from(this.#text);
    this.#text = "";
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#descriptor, rest));
    } catch {
      // There is nowhere left to say so.
    }
  }
}
