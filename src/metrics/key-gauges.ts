import type { KeyFact, KeyFacts } from "../observer.ts";
import type { Instruments, NameOf } from "./instruments.ts";

const day = 86_400_000;

/** One number of each key, and which of them stands for all where keys are not named. */
interface KeyGauge {
  readonly of: (fact: KeyFact) => number | undefined;
  readonly forAll: (values: readonly number[]) => number;
}

const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));
const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const keyGauges = {
  keystead_key_age_days: { of: ({ age }) => inDays(age), forAll: most },
  keystead_key_rotation_days: { of: ({ toRotation }) => inDays(toRotation), forAll: least },
  keystead_key_messages_left: { of: ({ budget }) => budget?.left, forAll: least },
  keystead_key_budget_left_ratio: { of: ({ budget }) => budget && budget.left / budget.limit, forAll: least },
  keystead_destruction_pending_refusals: { of: ({ pending, attempts }) => (pending > 0 ? attempts : undefined), forAll: sum },
} as const satisfies Partial<Record<NameOf<"gauge">, KeyGauge>>;

const names: readonly (keyof typeof keyGauges)[] = [
  "keystead_key_age_days",
  "keystead_key_rotation_days",
  "keystead_key_messages_left",
  "keystead_key_budget_left_ratio",
  "keystead_destruction_pending_refusals",
];

/** Sets the gauges about keys. @param named - one value for each key, under its name; else one for all */
export function setKeyFacts(instruments: Instruments, { keys, total }: KeyFacts, named: boolean): void {
  instruments.gauge("keystead_keys").set(total);
  instruments.gauge("keystead_keys_left_out").set(total - keys.length);
  instruments.gauge("keystead_keys_rotation_due").set(keys.filter(({ toRotation = 1 }) => toRotation <= 0).length);
  instruments.gauge("keystead_versions_pending_destruction").set(sum(keys.map(({ pending }) => pending)));
  for (const name of names) {
    const { of, forAll } = keyGauges[name];
    const gauge = instruments.gauge(name);
    gauge.reset();
    const values = keys.flatMap((fact) => {
      const value = of(fact);
      return value === undefined ? [] : [{ key: fact.name, value }];
    });
    if (named) for (const { key, value } of values) gauge.set({ key }, value);
    else if (values.length > 0) gauge.set(forAll(values.map(({ value }) => value)));
  }
}

function inDays(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / day;
}
