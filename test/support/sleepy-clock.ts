import { TestClock } from "./test-clock.ts";

/** A clock during whose next wait something else happens. */
export class SleepyClock extends TestClock {
  onWait: (() => Promise<unknown>) | undefined;

  override async wait(milliseconds: number): Promise<void> {
    const act = this.onWait;
    this.onWait = undefined;
    await act?.();
    return super.wait(milliseconds);
  }
}
