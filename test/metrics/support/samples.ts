/** One line of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const line = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/i;
const pair = /([a-z_]\w*)="((?:[^"\\]|\\.)*)"/gi;

/** Reads Prometheus' text format. @throws Error for a line that is none */
export function samplesOf(text: string): Sample[] {
  return text
    .split("\n")
    .filter((each) => each !== "" && !each.startsWith("#"))
    .map((each) => {
      const [, name = "", labels = "", value = ""] = line.exec(each) ?? [];
      if (name === "") throw new Error(`not a line of metrics: ${each}`);
      return {
        name,
        labels: Object.fromEntries([...labels.matchAll(pair)].map(([, label = "", text = ""]) => [label, text])),
        value: Number(value),
      };
    });
}

/** The value of a metric with these labels; undefined when there is none. */
export function valueOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  return samplesOf(text).find(
    (sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  )?.value;
}
