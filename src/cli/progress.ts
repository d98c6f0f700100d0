import type { Clock } from "../index.ts";
import { formatDuration } from "./instants.ts";
import { formatCount } from "./table.ts";

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
  /** Columns of the terminal. */
  readonly width: number | undefined;
}

const barInterval = 100;
const lineInterval = 3000;
const barCells = 24;
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
    const { mode, write, width = 80 } = this.#display;
    const text = this.#text(now);
    if (mode === "lines") write(`${text}\n`);
    else write(`\r${text.slice(0, width - 1)}\u001b[K`);
  }

  #text(now: number): string {
    const { title, unit } = this.#subject;
    const { done, total } = this.#last ?? { done: 0, total: undefined };
    const begin = this.#begin ?? { at: now, done: 0 };
    const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
    const rate = now > begin.at ? ((done - begin.done) / (now - begin.at)) * 1000 : 0;
    const parts = [title];
    if (share !== undefined) {
      if (this.#display.mode === "bar") parts.push(bar(share));
      parts.push(`${Math.floor(share * 100)} %`);
    }
    parts.push(
      `${formatAmount(done, unit)}${total === undefined ? "" : ` of ${formatAmount(total, unit)}`}${unit === "bytes" ? "" : ` ${unit}`}`,
    );
    if (rate > 0) parts.push(`${formatAmount(Math.round(rate), unit)}/s`);
    if (rate > 0 && total !== undefined && done < total) parts.push(`${formatDuration(((total - done) / rate) * 1000)} left`);
    return parts.join("  ");
  }
}

/** A number of bytes with a binary unit, other numbers with separators. */
function formatAmount(amount: number, unit: ProgressSubject["unit"]): string {
  if (unit !== "bytes") return formatCount(amount);
  const power = Math.min(byteUnits.length - 1, Math.floor(Math.log2(Math.max(1, amount)) / 10));
  const value = amount / 1024 ** power;
  return `${power === 0 ? String(value) : value.toFixed(1)} ${byteUnits[power] ?? ""}`;
}

function bar(share: number): string {
  const full = Math.round(share * barCells);
  return `${"█".repeat(full)}${"░".repeat(barCells - full)}`;
}
