import { KeysteadError } from "../errors.ts";

/** Bytes of lines that go out together, when there are so many at hand. */
const piece = 16 * 1024;

/** Where a stream's items come from. */
export type LineSource<T> = AsyncIterable<T> | Iterable<T>;

/** The lines of a request's body, one for each item, taken no faster than they are sent. */
export class LineFeed<T> {
  readonly #iterator: AsyncIterator<T> | Iterator<T>;
  readonly #sentAs: (item: T) => unknown;
  #wake: () => void = () => undefined;
  #stopped = false;
  #sent = 0;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param sentAs what JSON has for an item
   * @throws KeysteadError `INVALID_ARGUMENT` for what is no iterable
   */
  constructor(items: LineSource<T>, sentAs: (item: T) => unknown) {
    this.#sentAs = sentAs;
    this.#iterator = iteratorOf(items);
  }

  /** Items that were given away. */
  get sent(): number {
    return this.#sent;
  }

  /** True once every item was. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What the source failed with. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** The body. Lines that are at hand go together, and none waits for the next one. */
  async *body(): AsyncGenerator<Buffer> {
    try {
      let next = this.#next();
      for (;;) {
        let lines = "";
        let got: IteratorResult<string, undefined> | undefined = await next;
        while (got?.done === false) {
          lines += got.value;
          next = this.#next();
          if (lines.length >= piece) break;
          got = await Promise.race([next, nextTurn()]);
        }
        if (lines !== "") yield Buffer.from(lines);
        if (got?.done === true) return;
      }
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  /** Takes no further item, and tells the source so. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
    // A source that is waiting for its next item hears of it only then.
    if (!this.#ended && this.#failure === undefined) Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
  }

  #next(): Promise<IteratorResult<string, undefined>> {
    // By no promise that outlives the line: it would keep what every line resolves to.
    const line = new Promise<IteratorResult<string, undefined>>((resolve, reject) => {
      this.#wake = () => resolve({ done: true, value: undefined });
      if (this.#stopped) this.#wake();
      else this.#line().then(resolve, reject);
    });
    // What fails ahead of its turn is told in its turn.
    line.catch(() => undefined);
    return line;
  }

  async #line(): Promise<IteratorResult<string, undefined>> {
    const next = await this.#iterator.next();
    if (next.done === true) {
      this.#ended = true;
      return { done: true, value: undefined };
    }
    this.#sent += 1;
    return { done: false, value: `${JSON.stringify(this.#sentAs(next.value))}\n` };
  }
}

function iteratorOf<T>(items: LineSource<T>): AsyncIterator<T> | Iterator<T> {
  if (typeof items === "object" && Symbol.asyncIterator in items) return items[Symbol.asyncIterator]();
  if (typeof items === "object" && Symbol.iterator in items) return items[Symbol.iterator]();
  throw new KeysteadError("INVALID_ARGUMENT", "items must be an array or another iterable, or an async iterable");
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}
