import { writeSync } from "node:fs";

const flushMilliseconds = 100;
const mostBytes = 65_536;
/** UTF-8 needs no more for a UTF-16 unit. */
const bytesPerUnit = 3;

/**
 * Log lines for a file descriptor, written together: a system call for each would cost as much as the request it tells of. They wait as
 * bytes: as a text they would be thousands of small pieces that the garbage collector moves about.
 */
export class LogOutput {
  readonly #descriptor: number;
  readonly #waiting = Buffer.allocUnsafe(mostBytes);
  #length = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param descriptor - 2: the standard error of the process */
  constructor(descriptor = 2) {
    this.#descriptor = descriptor;
  }

  write(line: string): void {
    if (this.#length + line.length * bytesPerUnit > mostBytes) this.flush();
    if (line.length * bytesPerUnit > mostBytes) {
      this.#writeOut(Buffer.from(line));
      return;
    }
    this.#length += this.#waiting.write(line, this.#length);
    this.#timer ??= setTimeout(() => this.flush(), flushMilliseconds).unref();
  }

  /** Writes what waits. A reader that is gone or behind loses lines rather than stopping the server. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writeOut(this.#waiting.subarray(0, this.#length));
    this.#length = 0;
  }

  #writeOut(bytes: Buffer): void {
    let rest = bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#descriptor, rest));
    } catch {
      // There is nowhere left to say so.
    }
  }
}
