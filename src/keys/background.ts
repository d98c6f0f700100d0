import type { Engine } from "./engine.ts";
import { settleDue } from "./rotate-key.ts";
import { readSettings } from "./settings.ts";

/** Milliseconds between writing use counts to store and audit. */
const reportInterval = 60_000;

/** Writes use counts to the store and the audit; refusals are an alarm of their own. */
export async function reportUse({ registry, audit }: Pick<Engine, "registry" | "audit">): Promise<void> {
  await registry.flush();
  const principal = { source: "engine", id: "use" } as const;
  for (const { key, label: version, seals, opens, refusals } of registry.takeUse()) {
    if (seals + opens > 0)
      await audit.record({ action: "keys.use", outcome: "allowed", principal, key, version, detail: { seals, opens } });
    if (refusals > 0) await audit.record({ action: "keys.use", outcome: "denied", principal, key, version, detail: { refusals } });
  }
}

/**
 * The work that goes on beside the callers: refreshing loaded keys within the refresh bound, finishing what is due, and
 * writing use counts. Runs on real time even where the engine's clock is injected: it is about this process's neighbours.
 */
export class Background {
  readonly #engine: Engine;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #settledAt = -1;
  #reportedAt: number;
  #interval = 500;
  #problem: unknown;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#reportedAt = engine.clock.monotonic();
  }

  /** Why the last round failed; undefined when it did not. The keys' leases run out while this lasts. */
  get problem(): unknown {
    return this.#problem;
  }

  /** Finishes what is due and begins to follow changes. */
  async start(): Promise<void> {
    const { refreshBound } = await this.#engine.store.read(readSettings);
    this.#interval = Math.max(10, Math.floor(refreshBound / 2));
    await this.#settle();
    this.#schedule();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#round;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#round = this.#tend().then(
        () => {
          this.#problem = undefined;
        },
        (error: unknown) => {
          this.#problem = error;
        },
      );
      void this.#round.then(() => {
        if (this.#timer !== undefined) this.#schedule();
      });
    }, this.#interval);
    this.#timer.unref();
  }

  async #tend(): Promise<void> {
    const { registry, clock } = this.#engine;
    await registry.refresh();
    await this.#settle();
    if (clock.monotonic() - this.#reportedAt < reportInterval) return;
    this.#reportedAt = clock.monotonic();
    await reportUse(this.#engine);
  }

  /** Looks for due work after a change of the metadata, and every minute for what time alone brings. */
  async #settle(): Promise<void> {
    const generation = await this.#engine.store.generation();
    const minute = Math.floor(this.#engine.clock.now() / 60_000);
    const mark = generation * 1e6 + (minute % 1e6);
    if (mark === this.#settledAt) return;
    const touched = await settleDue(this.#engine);
    this.#settledAt = touched === 0 ? mark : -1;
  }
}
