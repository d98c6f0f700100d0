import { spawnSync } from "node:child_process";
import { type Child, startChild } from "../../support/child.ts";

/** Gives a program process numbers of its own, as a container does; its host name stays. */
const container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"];

/** True where programs can be given process numbers of their own. */
export function canIsolate(): boolean {
  return spawnSync(container[0] ?? "", [...container.slice(1), "true"]).status === 0;
}

/** A running program that writes a number on a line for each record that was answered. */
export class AnsweringProgram {
  readonly #child: Child;
  /** The numbers that were read so far. */
  readonly answered: number[] = [];

  constructor(program: URL, args: readonly string[], { isolated = false } = {}) {
    this.#child = startChild(program, args, isolated ? container : []);
  }

  /** Reads so many more answers. */
  async answers(count: number): Promise<void> {
    for (let read = 0; read < count; read++) {
      if (!(await this.#readOne())) throw new Error("the program ended before it had answered");
    }
  }

  /** Kills the program; resolves with all numbers that it answered once it is gone. */
  async kill(): Promise<number[]> {
    await this.#child.kill();
    while (await this.#readOne());
    return this.answered;
  }

  async #readOne(): Promise<boolean> {
    const line = await this.#child.nextLine();
    if (line !== undefined) this.answered.push(Number(line));
    return line !== undefined;
  }
}
