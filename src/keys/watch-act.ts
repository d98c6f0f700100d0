import type { Clock } from "../clock.ts";
import { type ActOutcome, failureOutcome, type Observer } from "../observer.ts";

/** Runs an act under the eyes of an observer. `outcomeOf` tells how it ended when it did not throw. */
export async function watchAct<T>(
  { observer, clock }: { readonly observer: Observer; readonly clock: Clock },
  action: string,
  work: () => Promise<T>,
  outcomeOf: (result: T) => ActOutcome = () => "allowed",
): Promise<T> {
  const begun = clock.monotonic();
  let outcome: ActOutcome = "failed";
  try {
    const result = await (observer.act === undefined ? work() : observer.act(action, work, outcomeOf));
    outcome = outcomeOf(result);
    return result;
  } catch (error) {
    outcome = failureOutcome(error);
    throw error;
  } finally {
    observer.actEnded(action, outcome, clock.monotonic() - begun);
  }
}
