import type { AnyRoute } from "../api/route.ts";

/** Which methods the addresses of a table have: for requests that no row serves. */
export class PathMethods {
  readonly #paths = new Map<string, Set<string>>();

  constructor(routes: readonly AnyRoute[]) {
    for (const { path, method, stream } of routes) {
      const methods = this.#paths.get(path) ?? new Set();
      methods.add(method);
      if (method === "GET" && stream === undefined) methods.add("HEAD");
      this.#paths.set(path, methods);
    }
  }

  /** Methods of an address, sorted; none when the table hasn't got it. */
  of(target: string): string[] {
    const segments = (target.split("?")[0] ?? "").split("/");
    const found = [...this.#paths].filter(([path]) => fits(path.split("/"), segments)).flatMap(([, methods]) => [...methods]);
    return [...new Set(found)].sort();
  }
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length && pattern.every((part, at) => (part.startsWith(":") ? segments[at] !== "" : part === segments[at]))
  );
}
