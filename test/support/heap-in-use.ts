import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes of the heap that are in use, after all garbage was collected. */
export function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") throw new Error("V8 does not collect garbage on demand");
  Reflect.apply(collect, undefined, []);
  return process.memoryUsage().heapUsed;
}
