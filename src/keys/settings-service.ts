import { assertArguments, number, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { asked, audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { type ChangeableSetting, changeableSettings, readSettings, type Settings, writeSetting } from "./settings.ts";

/** Settings that live in the store and hold for every process. */
export class SettingsService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every setting with its value. */
  list(): Promise<Settings> {
    return asked(this.#engine, { action: "settings.list", terms: {} }, () => this.#engine.store.read(readSettings));
  }

  /**
   * Changes a setting. A shorter refresh bound counts once every process has learned of it, and that is when this resolves.
   * @throws KeysteadError `INVALID_ARGUMENT` for an unknown name, or outside the setting's bounds
   * @example
   * await keystead.settings.set("destructionWaitingDays", 30);
   */
  async set(name: ChangeableSetting, value: number): Promise<Settings> {
    assertArguments({ name, value }, { name: text, value: number });
    const known = changeableSettings.some((changeable) => changeable === name);
    const detail = { ...(known && { name }), ...(Number.isFinite(value) && { value }) };
    return audited(this.#engine, { action: "settings.set", detail, terms: { name, value } }, async () => {
      if (!known) throw new KeysteadError("INVALID_ARGUMENT", `settings are ${changeableSettings.join(", ")}`);
      const before = await this.#engine.store.transaction(async (tables) => {
        const settings = await readSettings(tables);
        await writeSetting(tables, name, value);
        return settings;
      });
      if (name === "refreshBound" && value < before.refreshBound) await this.#engine.clock.wait(before.refreshBound);
      return this.#engine.store.read(readSettings);
    });
  }
}
