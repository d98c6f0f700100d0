import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";

/** Every setting that lives in the store, with its default and bounds (integers). */
export const settingDefinitions = {
  refreshBound: { initial: 1000, min: 20, max: 1000, does: "Milliseconds within which every process learns of a change." },
  destructionWaitingDays: { initial: 7, min: 1, max: 365, does: "Days between scheduling a destruction and its execution." },
  backupRetentionDays: {
    initial: 0,
    min: 0,
    max: 36500,
    does: "The longest time that a backup of any dataset is kept, in days: a version dies only after that long at zero.",
  },
  restoredAt: {
    initial: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    does: "When the store was found put back from a copy, in milliseconds since 1970; 0: never. Written by the engine.",
  },
  copiedAt: {
    initial: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    does: "When the store was made as a copy of another, in milliseconds since 1970; 0: it was not. Written by the engine.",
  },
} as const satisfies Record<string, { readonly initial: number; readonly min: number; readonly max: number; readonly does: string }>;

/** Name of a setting. */
export type SettingName = keyof typeof settingDefinitions;

/** All settings with their values. */
export type Settings = Readonly<Record<SettingName, number>>;

/** A setting that people may change; the others are the engine's. */
export type ChangeableSetting = Exclude<SettingName, "restoredAt" | "copiedAt">;

/** Every setting that people may change. */
export const changeableSettings = ["refreshBound", "destructionWaitingDays", "backupRetentionDays"] as const satisfies ChangeableSetting[];

/** Reads all settings; one that was never set has its initial value. */
export async function readSettings(tables: StoreTables): Promise<Settings> {
  const stored = new Map((await tables.settings.list()).map((row) => [row.name, Number(row.value)]));
  const valueOf = (name: SettingName): number => stored.get(name) ?? settingDefinitions[name].initial;
  return {
    refreshBound: valueOf("refreshBound"),
    destructionWaitingDays: valueOf("destructionWaitingDays"),
    backupRetentionDays: valueOf("backupRetentionDays"),
    restoredAt: valueOf("restoredAt"),
    copiedAt: valueOf("copiedAt"),
  };
}

/** @throws KeysteadError `INVALID_ARGUMENT` outside the bounds. */
export async function writeSetting(tables: StoreTables, name: SettingName, value: number): Promise<void> {
  const { min, max } = settingDefinitions[name];
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new KeysteadError("INVALID_ARGUMENT", `setting ${name} takes a whole number from ${String(min)} to ${String(max)}`);
  }
  const existing = await tables.settings.get({ name });
  if (existing === undefined) await tables.settings.insert({ name, value: String(value) });
  else await tables.settings.update({ ...existing, value: String(value) });
}
