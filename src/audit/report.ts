import type { AuditRecordView } from "./newest-records.ts";
import { principalOf } from "./record-fields.ts";

/** How often something was named in records. */
export interface AuditCount {
  readonly name: string;
  readonly count: number;
}

/** Counts of the audit of some time. Lists are sorted by name. */
export interface AuditCounts {
  /** Records of that time. */
  readonly records: number;
  readonly byAction: readonly AuditCount[];
  readonly byKey: readonly AuditCount[];
  /** Everybody who acted, once, as `<source>:<id>`. */
  readonly byPrincipal: readonly AuditCount[];
  readonly byOutcome: readonly AuditCount[];
  /** Distinct principals. */
  readonly principals: number;
  /** Lines that are no records: of no writer, damaged, or of another program. They are counted nowhere else. */
  readonly badLines: number;
}

/** Names that are counted apart, at most; the rest of a list counts as {@link otherNames}. Bounds the memory of a report. */
const mostNames = 100_000;
const otherNames = "(others)";

class Tally {
  readonly #counts = new Map<string, number>();

  add(name: unknown): void {
    if (typeof name !== "string") return;
    const known = this.#counts.has(name) || this.#counts.size < mostNames ? name : otherNames;
    this.#counts.set(known, (this.#counts.get(known) ?? 0) + 1);
  }

  get size(): number {
    return this.#counts.size;
  }

  sorted(): AuditCount[] {
    const counts = Array.from(this.#counts, ([name, count]) => ({ name, count }));
    return counts.sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}

/** Counts records one by one; keeps names and numbers only. */
export class AuditTally {
  #records = 0;
  #badLines = 0;
  readonly #actions = new Tally();
  readonly #keys = new Tally();
  readonly #principals = new Tally();
  readonly #outcomes = new Tally();

  add(record: AuditRecordView): void {
    this.#records++;
    this.#actions.add(record["action"]);
    this.#keys.add(record["key"]);
    this.#principals.add(principalOf(record));
    this.#outcomes.add(record["outcome"]);
  }

  addBadLine(): void {
    this.#badLines++;
  }

  counts(): AuditCounts {
    return {
      records: this.#records,
      byAction: this.#actions.sorted(),
      byKey: this.#keys.sorted(),
      byPrincipal: this.#principals.sorted(),
      byOutcome: this.#outcomes.sorted(),
      principals: this.#principals.size,
      badLines: this.#badLines,
    };
  }
}
