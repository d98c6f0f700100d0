import { EventEmitter, once } from "node:events";
import type { Child } from "../../support/child.ts";

/** A value that a process sealed. */
export interface SealedValue {
  readonly sealed: string;
  readonly value: string;
}

/** An act of a process, by its own clock. */
interface ActLine {
  readonly act: string;
  readonly begin: number;
  /** With the outcome, once it is over. */
  readonly end?: number;
  readonly outcome?: string;
}

/** An act that is over. */
export type FinishedAct = Required<ActLine>;

/** What `failover-process.ts` says, as it says it. */
export class Spoken {
  readonly sealed: SealedValue[] = [];
  readonly #child: Child;
  readonly #acts: ActLine[] = [];
  readonly #heard = new EventEmitter();
  readonly #reading: Promise<void>;
  #isSilent = false;

  constructor(child: Child) {
    this.#child = child;
    this.#reading = this.#read();
  }

  /** Waits for a line after which the condition holds. @throws Error when the process ends before */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#isSilent) throw new Error("the process has ended");
      await once(this.#heard, "line");
    }
  }

  /** Tells the process to begin an act. */
  begin(act: string): { readonly isUnderWay: Promise<void>; readonly isOver: Promise<FinishedAct> } {
    const from = this.#acts.length;
    const lines = (): ActLine[] => this.#acts.slice(from).filter((line) => line.act === act);
    const finished = (): FinishedAct | undefined => lines().find((line): line is FinishedAct => line.outcome !== undefined);
    this.#child.process.stdin?.write(`${act}\n`);
    const isOver = async (): Promise<FinishedAct> => {
      await this.until(() => finished() !== undefined);
      const act = finished();
      if (act === undefined) throw new Error("the act is not over");
      return act;
    };
    return { isUnderWay: this.until(() => lines().length > 0), isOver: isOver() };
  }

  /** Lets the process do an act. @returns its outcome */
  async perform(act: string): Promise<string> {
    const { isOver } = this.begin(act);
    return (await isOver).outcome;
  }

  /** Ends the process. @returns everything that it sealed */
  async stop(): Promise<readonly SealedValue[]> {
    this.#child.process.stdin?.write("stop\n");
    await this.#reading;
    return this.sealed;
  }

  async #read(): Promise<void> {
    for (let line = await this.#child.nextLine(); line !== undefined; line = await this.#child.nextLine()) {
      const said = JSON.parse(line) as SealedValue | ActLine;
      if ("act" in said) this.#acts.push(said);
      else this.sealed.push(said);
      this.#heard.emit("line");
    }
    this.#isSilent = true;
    this.#heard.emit("line");
  }
}
