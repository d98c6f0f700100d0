import fc from "fast-check";
import { expect, it } from "vitest";
import { isKeysteadError } from "../../src/index.ts";
import { type Application, startApplication } from "./support/application.ts";
import { type Crm, createCrm, personDataset } from "./support/crm.ts";
import { pauseAt } from "./support/persons.ts";

const emails = ["a@example.org", "A@example.org", "b@example.org", "ab@example.org"] as const;
const columns = ["t1", "t2", "t3"] as const;
const normalisers = ["email", "none"] as const;
type Normaliser = (typeof normalisers)[number];

type Step =
  | { readonly do: "write"; readonly application: number; readonly id: number; readonly email: number | null }
  | { readonly do: "start application" }
  | { readonly do: "start"; readonly normaliser: Normaliser; readonly bits: number; readonly rotates: boolean }
  | { readonly do: "index"; readonly rows: number | undefined }
  | { readonly do: "cut over" }
  | { readonly do: "drop"; readonly newest: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      application: fc.nat(9),
      id: fc.integer({ min: 1, max: 6 }),
      email: fc.option(fc.nat(emails.length - 1)),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "start application" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("start" as const),
      normaliser: fc.constantFrom(...normalisers),
      bits: fc.integer({ min: 8, max: 40 }),
      rotates: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("index" as const), rows: fc.option(fc.integer({ min: 2, max: 5 }), { nil: undefined }) }),
  },
  { weight: 3, arbitrary: fc.constant({ do: "cut over" as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("drop" as const), newest: fc.boolean() }) },
);

/** A generation as the model knows it. */
interface Generation {
  readonly number: number;
  readonly column: string;
  readonly normaliser: Normaliser;
}

/** A process of the application, and which generation it searches by. */
interface Process extends Application {
  readonly searches: Generation;
}

/** What every row says, and what each process may still do by what the documentation asks of people. */
class World {
  readonly #crm: Crm;
  readonly #rows = new Map<number, string | null>();
  #searched: Generation = { number: 1, column: "t1", normaliser: "email" };
  #other: Generation | undefined;
  #leaving: Generation | undefined;
  #generations = 1;
  #processes: Process[] = [];
  /** Steps that did something. */
  readonly taken = new Set<string>();

  constructor(crm: Crm) {
    this.#crm = crm;
  }

  async take(taken: Step): Promise<void> {
    const { keystead } = this.#crm;
    const { datasets } = keystead;
    switch (taken.do) {
      case "start application":
        this.#processes.push({ ...(await startApplication(keystead, this.#crm.database)), searches: this.#searched });
        break;
      case "write": {
        const email = taken.email === null ? null : (emails[taken.email] ?? null);
        const process = this.#processes[taken.application % Math.max(1, this.#processes.length)];
        if (process === undefined) return;
        process.write({ id: taken.id, email });
        this.#rows.set(taken.id, email);
        break;
      }
      case "start": {
        const column = columns.find((name) => ![this.#searched, this.#other, this.#leaving].some((used) => used?.column === name));
        if (this.#other !== undefined || this.#leaving !== undefined || column === undefined) return;
        if (taken.rotates) await keystead.keys.rotate("bi");
        await datasets.startGeneration("crm.person", "email", { column, normalisers: [taken.normaliser], bits: taken.bits });
        this.#other = { number: (this.#generations += 1), column, normaliser: taken.normaliser };
        break;
      }
      case "index": {
        // Nobody writes the column any more that is to be emptied: another generation may have it then.
        const leaving = this.#leaving?.column;
        if (leaving !== undefined) this.#stopUnless(({ written }) => !written.includes(leaving));
        if (taken.rows === undefined) await datasets.index("crm.person");
        else await datasets.index("crm.person", { ...pauseAt(taken.rows).options, rowsPerSecond: 2 });
        await this.#readStates();
        break;
      }
      case "cut over":
        if (this.#other === undefined) return;
        await this.#cutOver(this.#other);
        break;
      case "drop": {
        const dropped = this.#other;
        if (dropped === undefined || taken.newest !== dropped.number > this.#searched.number) return;
        // Nobody searches by it any more, and everybody writes the one that stays.
        this.#stopUnless(({ searches, written }) => searches !== dropped && written.includes(this.#searched.column));
        await datasets.dropGeneration("crm.person", "email", dropped.number);
        [this.#other, this.#leaving] = [undefined, dropped];
      }
    }
    this.taken.add(taken.do);
  }

  /** The engine and every process that runs find just the rows that match. */
  async check(): Promise<void> {
    for (const value of emails) {
      const { rows, complete } = await this.#crm.keystead.datasets.find("crm.person", "email", [value]);
      expect(complete).toBe(true);
      expect(rows.map(({ row }) => Number(row["id"]))).toEqual(this.#matching(value, this.#searched));
      for (const { find, searches } of this.#processes) expect(find("email", value)).toEqual(this.#matching(value, searches));
    }
  }

  #matching(value: string, { normaliser }: Generation): number[] {
    const normal = (text: string): string => (normaliser === "email" ? text.toLowerCase() : text);
    const ids = [...this.#rows].filter(([, email]) => email !== null && normal(email) === normal(value)).map(([id]) => id);
    return ids.sort((a, b) => a - b);
  }

  /** Everybody was started anew since the generation came; until rows have all its tokens it is refused. */
  async #cutOver(next: Generation): Promise<void> {
    const { datasets } = this.#crm.keystead;
    this.#stopUnless(({ written }) => written.includes(next.column) && written.includes(this.#searched.column));
    for (let refusals = 0; ; refusals += 1) {
      try {
        await datasets.cutOver("crm.person", "email", next.number);
        break;
      } catch (error) {
        if (!isKeysteadError(error, "JOB_INCOMPLETE")) throw error;
        expect(refusals).toBeLessThan(3);
        await datasets.index("crm.person");
      }
    }
    [this.#searched, this.#other] = [next, this.#searched];
  }

  #stopUnless(goesOn: (process: Process) => boolean): void {
    this.#processes = this.#processes.filter(goesOn);
  }

  async #readStates(): Promise<void> {
    const { indexes } = await this.#crm.keystead.datasets.show("crm.person");
    if (!indexes.some(({ state }) => state === "leaving")) this.#leaving = undefined;
  }
}

const taken = new Set<string>();

it(
  "any sequence of the application's writes and changes of generation: everybody finds just the rows that match",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30 }), async (steps) => {
        const crm = await createCrm(`CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, ${columns.join(" TEXT, ")} TEXT)`);
        const index = { columns: ["email"], column: "t1", key: "bi", kind: "exact", normalisers: ["email"], bits: 16 };
        await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", email: "pii" }, { indexes: { email: index } }));
        await crm.keystead.datasets.index("crm.person");
        const world = new World(crm);
        await world.take({ do: "start application" });
        for (const next of steps) {
          await world.take(next);
          await world.check();
        }
        for (const name of world.taken) taken.add(name);
        await crm.keystead.close();
      }),
      { numRuns: 25 },
    );
    expect(taken).toEqual(new Set(["write", "start application", "start", "index", "cut over", "drop"]));
  },
);
