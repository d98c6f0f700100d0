import { audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { readSettings, type Settings, type SettingName, writeSetting } from "./settings.ts";

/** Settings that live in the store and hold for every process. */
export class SettingsService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  list(): Promise<Settings> {
    return this.#engine.store.read(readSettings);
  }

  /** Changes a setting. @throws KeysteadError `INVALID_ARGUMENT` outside its bounds */
  set(name: Exclude<SettingName, "restoredAt">, value: number): Promise<Settings> {
    return audited(this.#engine, { action: "settings.set", detail: { name, value } }, async () => {
      await this.#engine.store.transaction((tables) => writeSetting(tables, name, value));
      return this.list();
    });
  }
}
