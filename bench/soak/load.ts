import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { KeysteadServer } from "../served/keystead-server.ts";

const context = { table: "person", column: "email" };
const sealed = z.object({ ciphertext: z.string() });
const opened = z.object({ plaintext: z.string() });
const jobState = z.object({ state: z.string() });

/** What is done over and over, and how long it rests after each time, in milliseconds. */
interface Task {
  readonly name: string;
  readonly loops: number;
  readonly rest: number;
  readonly work: (server: KeysteadServer) => Promise<unknown>;
}

/** The mix: people's calls, and now and then those of operators. */
const tasks: readonly Task[] = [
  { name: "encrypt and decrypt", loops: 12, rest: 0, work: sealAndOpen },
  { name: "encrypt and decrypt 100", loops: 2, rest: 20, work: sealAndOpenMany },
  { name: "audit query", loops: 1, rest: 1_000, work: (server) => server.call("GET", "/v1/audit?limit=100&action=data.encrypt") },
  { name: "rotation", loops: 1, rest: 10_000, work: (server) => server.call("POST", "/v1/keys/bench/rotate", {}) },
  { name: "token, used and revoked", loops: 1, rest: 5_000, work: useToken },
  { name: "job", loops: 1, rest: 5_000, work: reencrypt },
];

/** Counts of what was done and of what failed, and the first failures. */
export class SoakLoad {
  readonly done = new Map<string, number>(tasks.map(({ name }) => [name, 0]));
  readonly failures: string[] = [];
  readonly #server: KeysteadServer;

  constructor(server: KeysteadServer) {
    this.#server = server;
  }

  /** Resolves when the signal aborts and every loop has ended. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(tasks.flatMap((task) => Array.from({ length: task.loops }, () => this.#loop(task, signal))));
  }

  async #loop({ name, rest, work }: Task, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await work(this.#server);
        this.done.set(name, (this.done.get(name) ?? 0) + 1);
      } catch (error) {
        this.failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await pause(rest, undefined, { signal }).catch(() => undefined);
    }
  }
}

function newItem(): { readonly key: string; readonly plaintext: string; readonly context: typeof context } {
  return { key: "bench", plaintext: randomBytes(randomInt(1, 512)).toString("base64"), context };
}

async function sealAndOpen(server: KeysteadServer): Promise<void> {
  const item = newItem();
  const { ciphertext } = sealed.parse(await server.call("POST", "/v1/encrypt", item));
  const { plaintext } = opened.parse(await server.call("POST", "/v1/decrypt", { ciphertext, context, as: "bytes" }));
  if (plaintext !== item.plaintext) throw new Error("something else came back");
}

async function sealAndOpenMany(server: KeysteadServer): Promise<void> {
  const items = Array.from({ length: 100 }, newItem);
  const { items: ciphertexts } = z.object({ items: z.array(sealed) }).parse(await server.call("POST", "/v1/encrypt", { items }));
  const wanted = ciphertexts.map(({ ciphertext }) => ({ ciphertext, context, as: "bytes" }));
  const { items: back } = z.object({ items: z.array(opened) }).parse(await server.call("POST", "/v1/decrypt", { items: wanted }));
  if (back.length !== 100 || back.some(({ plaintext }, index) => plaintext !== items[index]?.plaintext))
    throw new Error("something else came back");
}

/** A token is good at once, and is not any more once it is revoked. */
async function useToken(server: KeysteadServer): Promise<void> {
  const { id, token } = z
    .object({ id: z.string(), token: z.string() })
    .parse(await server.command("tokens", "create", "soak", "--role", "encryptor", "--json"));
  await server.as(token).call("POST", "/v1/encrypt", newItem());
  await server.command("tokens", "revoke", id, "--json");
  // Another process revoked it: it counts within the refresh bound.
  for (let look = 0; look < 100; look++) {
    if ((await server.as(token).statusOf("POST", "/v1/encrypt", newItem())) === 401) return;
    await pause(200);
  }
  throw new Error("a revoked token is good after 20 seconds");
}

async function reencrypt(server: KeysteadServer): Promise<void> {
  await server.call("POST", "/v1/datasets/crm.person/reencrypt", {});
  for (let look = 0; look < 300; look++) {
    const { state } = jobState.parse(await server.call("GET", "/v1/datasets/crm.person/job"));
    if (state !== "running") {
      if (state !== "done") throw new Error(`the job is ${state}`);
      return;
    }
    await pause(200);
  }
  throw new Error("the job is not done after a minute");
}
