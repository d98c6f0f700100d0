import { KeysteadError } from "../errors.ts";

const stopping = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs work that can be stopped: the first Ctrl-C (or SIGTERM) aborts the signal, so that the work ends cleanly; a second one
 * ends the process.
 */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>, onStop: () => void = () => undefined): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => {
    for (const name of stopping) process.removeListener(name, stop);
    controller.abort(new KeysteadError("CANCELLED", "stopped"));
    onStop();
  };
  for (const name of stopping) process.on(name, stop);
  try {
    return await work(controller.signal);
  } finally {
    for (const name of stopping) process.removeListener(name, stop);
  }
}
