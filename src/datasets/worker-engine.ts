import { allowAll } from "../access/access-control.ts";
import type { Principal } from "../access/principal.ts";
import type { Engine } from "../keys/engine.ts";

/** The engine as it works for somebody who has been asked: what it does on the way is recorded in its own name, and for whom. */
export function workerEngine(engine: Engine): Engine {
  const { source, id } = engine.caller.principal;
  const principal: Principal = { source: "engine", id: "jobs", actingFor: `${source}:${id}` };
  const { access, caller } = engine;
  return { ...engine, caller: { principal }, access: allowAll, behalf: engine.behalf ?? { access, caller } };
}
