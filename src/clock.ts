/** Time as Keystead sees it. Injected everywhere, so that tests and the demo store move it themselves. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. May jump. */
  now(): number;
  /** Milliseconds of a clock that never goes back; its zero means nothing. */
  monotonic(): number;
  /** Resolves after `milliseconds` of this clock, or rejects with the signal's reason. */
  wait(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of the operating system. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  wait: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, milliseconds);
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

/** True when work ends within so many milliseconds of a clock, false when it goes on. @throws what the work throws until then */
export async function endsInTime(clock: Clock, milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const ended = new AbortController();
  const isLate = clock.wait(milliseconds, ended.signal).then(
    () => true,
    () => false,
  );
  try {
    return !(await Promise.race([work.then(() => false), isLate]));
  } finally {
    ended.abort();
  }
}
