/**
 * An API that works as the given one does, and notes the path of every method that answered: `keys.create`. One that refused is not noted,
 * one that goes on answering is once it has begun to.
 */
export function recorded<T extends object>(api: T, answered: Set<string>, prefix = ""): T {
  return new Proxy(api, {
    get: (target, property) => {
      // Asked of the target itself: classes read their private fields from it.
      const value: unknown = Reflect.get(target, property);
      const path = `${prefix}${String(property)}`;
      if (typeof value === "object" && value !== null) return recorded(value, answered, `${path}.`);
      if (typeof value !== "function") return value;
      const note = <A>(answer: A): A => {
        answered.add(path);
        return answer;
      };
      return (...args: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(value, target, args);
        if (answer instanceof Promise) return answer.then(note);
        return isAsyncIterable(answer) ? noted(answer, note) : note(answer);
      };
    },
  });
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

async function* noted(source: AsyncIterable<unknown>, note: (item: unknown) => unknown): AsyncGenerator {
  for await (const item of source) yield note(item);
}
