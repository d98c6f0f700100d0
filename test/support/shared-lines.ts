import { appendFileSync, closeSync, fstatSync, openSync, readSync } from "node:fs";

const newline = 0x0a;

/** Lines of JSON that several processes append to a file, and each of them reads. Reads what is new alone. */
export class SharedLines<T> {
  readonly #path: string;
  readonly #parse: (line: unknown) => T;
  readonly #values: T[] = [];
  #read = 0;

  /** @param path of a file, which need not be there yet @param parse checks what a line says */
  constructor(path: string, parse: (line: unknown) => T) {
    this.#path = path;
    this.#parse = parse;
    appendFileSync(path, "");
  }

  /** Appending is one act: lines of two processes don't mix. */
  append(value: T): void {
    appendFileSync(this.#path, `${JSON.stringify(value)}\n`);
  }

  /** What all processes have appended by now. */
  values(): readonly T[] {
    const fresh = this.#readFresh();
    const whole = fresh.subarray(0, fresh.lastIndexOf(newline) + 1);
    this.#read += whole.length;
    for (const line of whole.toString("utf8").split("\n").slice(0, -1)) this.#values.push(this.#parse(JSON.parse(line)));
    return this.#values;
  }

  #readFresh(): Buffer {
    const file = openSync(this.#path, "r");
    try {
      const fresh = Buffer.alloc(fstatSync(file).size - this.#read);
      return fresh.subarray(0, readSync(file, fresh, 0, fresh.length, this.#read));
    } finally {
      closeSync(file);
    }
  }
}
