import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const nodeOptions = ["--disable-warning=ExperimentalWarning"];
const ownNumbers = ["--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"];

/** A running program that writes a number on a line for each record that was answered. */
export class AnsweringProgram {
  readonly child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = "";

  /** @param isolated gives the program process numbers of its own, as a container does; its host name stays */
  constructor(program: URL, arguments_: readonly string[], { isolated = false } = {}) {
    const command = [process.execPath, ...nodeOptions, fileURLToPath(program), ...arguments_];
    const [file = "", ...rest] = isolated ? ["unshare", ...ownNumbers, ...command] : command;
    this.child = spawn(file, rest, { stdio: ["ignore", "pipe", "inherit"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    this.#closed = once(this.child, "close");
  }

  /** Numbers of whole lines so far. */
  get answered(): number[] {
    return this.#output.split("\n").slice(0, -1).map(Number);
  }

  /** Resolves when so many records were answered; rejects when the program ends before. */
  async answers(count: number): Promise<void> {
    while (this.answered.length < count) {
      expect(this.child.exitCode ?? this.child.signalCode, "the program still runs").toBeNull();
      await Promise.race([once(this.child.stdout ?? this.child, "data"), this.#closed]);
    }
  }

  /** Kills the program; resolves with all numbers that it answered. */
  async kill(): Promise<number[]> {
    this.child.kill("SIGKILL");
    await this.#closed;
    expect(this.child.signalCode).toBe("SIGKILL");
    return this.answered;
  }

  /** Resolves when the program has ended in order. */
  async end(): Promise<void> {
    await this.#closed;
    expect(this.child.exitCode).toBe(0);
  }
}

/** True where programs can be given process numbers of their own. */
export function canIsolate(): boolean {
  return spawnSync("unshare", [...ownNumbers, "true"]).status === 0;
}
