import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

/** A value of a file, looked into by paths: what is missing is undefined. */
export class Tree {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }

  /** What lies at a path of members and positions. */
  at(...path: readonly (string | number)[]): Tree {
    return new Tree(
      path.reduce<unknown>(
        (value, step) => (typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined),
        this.value,
      ),
    );
  }

  get list(): readonly Tree[] {
    return Array.isArray(this.value) ? this.value.map((item) => new Tree(item)) : [];
  }

  get entries(): readonly (readonly [string, Tree])[] {
    const isObject = typeof this.value === "object" && this.value !== null && !Array.isArray(this.value);
    return isObject ? Object.entries(this.value).map(([name, value]) => [name, new Tree(value)]) : [];
  }

  get text(): string {
    return typeof this.value === "string" ? this.value : "";
  }
}

/** The documents of a YAML file. @throws Error for one that is not strictly YAML 1.2 */
export function readYaml(path: string): readonly Tree[] {
  return parseAllDocuments(readFileSync(path, "utf8"), { strict: true, uniqueKeys: true, merge: true }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    return new Tree(document.toJS());
  });
}
