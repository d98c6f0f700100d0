/** Turns of the event loop for which is waited at most, while more comes in each. */
const mostTurns = 4;

/** Waits for what many callers bring at once, so that it is done together. */
export class Gathering {
  #end: (() => void) | undefined;

  /** Resolves once a turn of the event loop brought nothing new, after a few turns, or at {@link end}. @param count of what has come so far */
  wait(count: () => number): Promise<void> {
    return new Promise((resolve) => {
      let seen = -1;
      let turns = 0;
      const look = (): void => {
        const now = count();
        if (now === seen || turns === mostTurns) {
          this.end();
          return;
        }
        // The first look ends the turn that was under way: only the turns after it see what came over the network meanwhile.
        seen = now;
        turns++;
        next = setImmediate(look);
      };
      let next = setImmediate(look);
      this.#end = () => {
        clearImmediate(next);
        this.#end = undefined;
        resolve();
      };
    });
  }

  /** Waits no longer. */
  end(): void {
    this.#end?.();
  }
}
