import { readFileSync } from "node:fs";

/** A group of Wycheproof tests: what the whole group has, and its tests. */
export type VectorGroup<G, T> = G & { readonly tests: readonly T[] };

/** What every Wycheproof test has. */
export interface Vector {
  readonly tcId: number;
  readonly result: "valid" | "invalid" | "acceptable";
}

/** A Wycheproof file. */
export interface VectorFile<G, T extends Vector> {
  readonly numberOfTests: number;
  readonly testGroups: readonly VectorGroup<G, T>[];
}

/** Reads a file of test/vectors. */
export function readVectors(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../vectors/${path}`, import.meta.url), "utf8"));
}

/** Bytes of vectors are hexadecimal. */
export function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}
