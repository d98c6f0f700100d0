import type { Clock } from "../index.ts";
import { formatDuration } from "./instants.ts";
import { formatCount, printable, textWidth } from "./table.ts";

/** What progress is about. */
export interface ProgressSubject {
  /** Verb and object: `protect crm.person`. */
  readonly title: string;
  readonly unit: "rows" | "bytes" | "keys" | "lines";
}

/** Where and when progress is shown. */
export interface ProgressDisplay {
  readonly clock: Clock;
  readonly mode: "bar" | "lines" | "silent";
  readonly write: (text: string) => void;
  /** Columns of the terminal; 80 when it doesn't say. */
  readonly width: number | undefined;
}

/** One thing that is said about how far the work is. */
interface Field {
  readonly name: "title" | "percent" | "amount" | "rate" | "estimate";
  readonly text: string;
}

const barInterval = 100;
const lineInterval = 3000;
const barCells = 24;
const leastCells = 5;
const gap = "  ";
/** What goes first where the terminal is narrow. */
const dropOrder = ["amount", "title", "rate", "estimate"] as const;
const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Shows how far something is, with its speed and an estimate of the rest. */
export class Progress {
  readonly #subject: ProgressSubject;
  readonly #display: ProgressDisplay;
  #begin: { readonly at: number; readonly done: number } | undefined;
  #last: { readonly done: number; readonly total: number | undefined } | undefined;
  #shownAt: number;

  constructor(subject: ProgressSubject, display: ProgressDisplay) {
    this.#subject = subject;
    this.#display = display;
    this.#shownAt = display.mode === "lines" ? display.clock.monotonic() : Number.NEGATIVE_INFINITY;
  }

  /** Tells how far it is now; `done` may start above zero, and start anew. */
  update(done: number, total: number | undefined): void {
    const { clock, mode } = this.#display;
    if (mode === "silent") return;
    const now = clock.monotonic();
    if (this.#begin === undefined || done < (this.#last?.done ?? 0)) this.#begin = { at: now, done };
    this.#last = { done, total };
    if (now - this.#shownAt < (mode === "bar" ? barInterval : lineInterval)) return;
    this.#shownAt = now;
    this.#show(now);
  }

  /** Ends the display: a bar disappears, so that what follows stands alone. */
  end(): void {
    if (this.#display.mode === "bar" && this.#last !== undefined) this.#display.write("\r\u001b[K");
  }

  #show(now: number): void {
    const { mode, write, width } = this.#display;
    const share = this.#share();
    const fields = this.#fields(now, share);
    if (mode === "lines") write(`${fields.map(({ text }) => text).join(gap)}\n`);
    // Some terminals say that they have no columns. The last one stays free: text there makes some of them go to the next line.
    else write(`\r${fitted(fields, share, (width === undefined || width === 0 ? 80 : width) - 1)}\u001b[K`);
  }

  #share(): number | undefined {
    const { done, total } = this.#last ?? { done: 0, total: undefined };
    return total === undefined || total === 0 ? undefined : Math.min(1, done / total);
  }

  #fields(now: number, share: number | undefined): Field[] {
    const { title, unit } = this.#subject;
    const { done, total } = this.#last ?? { done: 0, total: undefined };
    const begin = this.#begin ?? { at: now, done: 0 };
    const rate = now > begin.at ? ((done - begin.done) / (now - begin.at)) * 1000 : 0;
    const fields: Field[] = [{ name: "title", text: printable(title) }];
    if (share !== undefined) fields.push({ name: "percent", text: `${Math.floor(share * 100)} %` });
    const of = total === undefined ? "" : ` of ${formatAmount(total, unit)}`;
    fields.push({ name: "amount", text: `${formatAmount(done, unit)}${of}${unit === "bytes" ? "" : ` ${unit}`}` });
    if (rate > 0) fields.push({ name: "rate", text: `${formatAmount(Math.round(rate), unit)}/s` });
    if (rate > 0 && total !== undefined && done < total)
      fields.push({ name: "estimate", text: `${formatDuration(((total - done) / rate) * 1000)} left` });
    return fields;
  }
}

/**
 * Fields in so many columns: the bar takes what is left of them, and where they are too few, whole fields go, the title after
 * the amount, the percentage last.
 */
function fitted(fields: readonly Field[], share: number | undefined, columns: number): string {
  const dropped = share === undefined ? dropOrder.filter((name) => name !== "amount") : dropOrder;
  let kept = fields;
  for (const name of dropped) {
    if (widthOf(kept) <= columns) break;
    kept = kept.filter((field) => field.name !== name);
  }
  if (widthOf(kept) > columns) return "";
  const cells = Math.min(barCells, columns - widthOf(kept) - gap.length);
  return kept
    .map(({ name, text }) =>
      name === "percent" && share !== undefined && cells >= leastCells ? `${bar(share, cells)}${gap}${text}` : text,
    )
    .join(gap);
}

function widthOf(fields: readonly Field[]): number {
  return textWidth(fields.map(({ text }) => text).join(gap));
}

/** A number of bytes with a binary unit, other numbers with separators. */
function formatAmount(amount: number, unit: ProgressSubject["unit"]): string {
  if (unit !== "bytes") return formatCount(amount);
  const power = Math.min(byteUnits.length - 1, Math.floor(Math.log2(Math.max(1, amount)) / 10));
  const value = amount / 1024 ** power;
  return `${power === 0 ? String(value) : value.toFixed(1)} ${byteUnits[power] ?? ""}`;
}

function bar(share: number, cells: number): string {
  const full = Math.round(share * cells);
  return `${"█".repeat(full)}${"░".repeat(cells - full)}`;
}
