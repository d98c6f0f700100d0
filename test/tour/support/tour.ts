import { systemClock } from "../../../src/clock.ts";
import { runTour, type TourOptions } from "../../../src/cli/tour/run-tour.ts";
import type { TourSummary } from "../../../src/cli/tour/summary.ts";
import { recordOutput } from "../../setup/canary.ts";

/** A tour whose words were caught. */
export interface ToldTour {
  readonly summary: TourSummary;
  /** Everything that it said. */
  readonly told: string;
}

/** Runs a tour in this process. */
export async function takeTour(options: Partial<TourOptions>, signal: AbortSignal = new AbortController().signal): Promise<ToldTour> {
  let told = "";
  const write = async (text: string): Promise<void> => {
    told += text;
  };
  try {
    const summary = await runTour({ rows: 60, ...options }, { write, bar: undefined, clock: systemClock }, signal, () => undefined);
    recordOutput(JSON.stringify(summary));
    return { summary, told };
  } finally {
    recordOutput(told);
  }
}
