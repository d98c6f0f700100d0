import type { Resource } from "../../access/access-control.ts";
import type { Decision } from "../../access/decide.ts";

/** Decisions that are remembered at most. */
const most = 4_096;

/**
 * What was decided of a caller by action and resource; contexts must not matter to it. It is asked with each item of a batch: texts that are
 * there already are looked up one after the other, and no new one is made of them.
 */
export class DecisionMemory {
  readonly #decisions = new Map<string, Map<string, Map<string, Decision>>>();
  #size = 0;

  get(action: string, { key = "", purpose = "", dataset }: Resource): Decision | undefined {
    return this.#decisions.get(action)?.get(key)?.get(placeOf(purpose, dataset));
  }

  set(action: string, { key = "", purpose = "", dataset }: Resource, decision: Decision): void {
    if (this.#size >= most) {
      this.#decisions.clear();
      this.#size = 0;
    }
    const keys = this.#decisions.get(action) ?? new Map<string, Map<string, Decision>>();
    this.#decisions.set(action, keys);
    const places = keys.get(key) ?? new Map<string, Decision>();
    keys.set(key, places);
    places.set(placeOf(purpose, dataset), decision);
    this.#size++;
  }
}

/** No purpose has a line break. */
function placeOf(purpose: string, dataset: string | undefined): string {
  return dataset === undefined ? purpose : `${purpose}\n${dataset}`;
}
