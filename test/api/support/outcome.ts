import { isProblem } from "../../../src/keys/data-acts.ts";

/** What became of an item of a batch: `ok`, or the code of its problem. */
export function outcome(item: unknown): string {
  return isProblem(item) ? item.problem.code : "ok";
}
