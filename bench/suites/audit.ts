import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { createSecretKey } from "node:crypto";
import type { AuditEvent } from "../../src/audit/event.ts";
import { FileTrail } from "../../src/audit/file-trail.ts";
import { startChain } from "../../src/audit/hash-chain.ts";
import { Journal } from "../../src/audit/journal.ts";
import { RecordEncoder } from "../../src/audit/record.ts";
import type { Signer } from "../../src/audit/signature.ts";
import { systemClock } from "../../src/clock.ts";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { KeyMaterial } from "../../src/crypto/key-material.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { compare, type Contender } from "../harness.ts";

const storeId = "5b0c7f7e-6f4f-4a0e-9d0e-3c2b1a090807";
const records = 20_000;
const callers = 32;
/** What one core has left for the audit of one call, in microseconds, recording and shipping together. */
const budget = 16;

/** The record of a single encrypt, as a served engine writes it. */
const event: AuditEvent = {
  action: "data.encrypt",
  outcome: "allowed",
  principal: { source: "oidc", id: "main:7f3a2f0c-9f0e-4d57-8b1c-5b0c7f7e6f4f", name: "registry-service" },
  request: { id: "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081", address: "10.20.30.40" },
  key: "acme/pii-email",
  version: "3-k7f2qd",
  purpose: "pii",
  context: { table: "person", column: "email", row: "4711" },
};

/** Records at 32 callers that each wait for their answer, as connections do. */
async function record(trail: { record(event: AuditEvent): Promise<void> }): Promise<void> {
  let left = records;
  const call = async (): Promise<void> => {
    while (left-- > 0) await trail.record(event);
  };
  await Promise.all(Array.from({ length: callers }, call));
}

/** Processor time of a piece of work, in microseconds per record: of the thread that answers, and of all. */
class CpuTime {
  readonly #main: number[] = [];
  readonly #all: number[] = [];

  async measure<T>(work: () => Promise<T>): Promise<T> {
    const all = process.cpuUsage();
    const main = process.threadCpuUsage();
    try {
      return await work();
    } finally {
      this.#all.push(perRecord(process.cpuUsage(all)));
      this.#main.push(perRecord(process.threadCpuUsage(main)));
    }
  }

  toString(): string {
    return `${spread(this.#main)} in the main thread, ${spread(this.#all)} in all`;
  }
}

function perRecord({ user, system }: { readonly user: number; readonly system: number }): number {
  return (user + system) / records;
}

function spread(times: readonly number[]): string {
  // The first run warms up.
  const sorted = times.slice(1).sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(1);
  return `${at(0)} / ${at(0.5)} / ${at(1)} µs`;
}

function newSigner(): Signer {
  const material = KeyMaterial.generate(algorithms.Ed25519, systemRandom);
  const publicKeyDer = material.publicKeyDer();
  if (publicKeyDer === undefined) throw new TypeError("a key pair has a public key");
  return { keyId: "keystead/audit:1-abcdef", publicKeyDer, sign: (data) => algorithms.Ed25519.sign(material.key, data) };
}

/** A journal and an SQLite store under a folder, recorded to and then shipped. */
class ShippingTrail {
  readonly recording = new CpuTime();
  readonly shipping = new CpuTime();
  /** The longest that the event loop stood still, in milliseconds. */
  longest = 0;
  readonly #folder: string;
  readonly #signer = newSigner();
  #runs = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  contender(): Contender {
    return { name: "journal, store and checkpoints behind it", units: records, run: () => this.#run() };
  }

  async #run(): Promise<void> {
    const directory = join(this.#folder, `trail-${String(this.#runs++)}`);
    const store = await openSqliteStore(`${directory}.db`, { clock: systemClock, create: true });
    await store.create({ id: storeId, demo: false, createdAt: 0 }, createSecretKey(Buffer.alloc(32, 3)), async () => undefined);
    const trail = await FileTrail.open({ store, storeId, directory, clock: systemClock, random: systemRandom, signer: () => this.#signer });
    let before = performance.now();
    const watch = setInterval(() => {
      const now = performance.now();
      if (this.#runs > 1) this.longest = Math.max(this.longest, now - before - 1);
      before = now;
    }, 1);
    await this.recording.measure(async () => {
      await record(trail);
      await trail.flush();
    });
    clearInterval(watch);
    await trail.close();
    await store.close();
  }
}

/** What a record costs: encoding it, making it durable, and shipping it to the store. */
export async function audit(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "keystead-bench-"));
  const origin = { store: storeId, writer: "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081", process: 4711, host: "host.example" };
  const previous = startChain(origin.writer).head.toString("hex");
  const place = { sequence: 3, previous, time: Date.now(), id: "7d0a9c0e-3b7e-4a53-8a48-8f0f3c6f2d22" };
  let journals = 0;
  let journal: Journal | undefined;
  const journalTime = new CpuTime();
  const shipping = new ShippingTrail(folder);
  const openJournal = (): Promise<Journal> =>
    Journal.open({ directory: join(folder, String(journals++)), storeId, clock: systemClock, random: systemRandom });
  try {
    await compare(
      `audit: ${String(records)} records of single encrypts, ${String(callers)} callers that wait for each`,
      [
        {
          name: "encoding alone",
          units: records,
          run: () => {
            const encoder = new RecordEncoder(origin);
            for (let index = 0; index < records; index++) encoder.encode(place, event);
          },
        },
        {
          name: "journal",
          units: records,
          run: async () => {
            journal = await openJournal();
            const own = journal;
            await journalTime.measure(() => record(own));
            await own.close();
          },
        },
        shipping.contender(),
      ],
      { rounds: Number(process.env["KEYSTEAD_BENCH_ROUNDS"] ?? "9") },
    );
    process.stdout.write(`  processor time per record (min / median / max), journal: ${journalTime.toString()}\n`);
    process.stdout.write(
      `  the same with shipping and checkpoints: ${shipping.recording.toString()}; the goal is at most ${String(budget)}\n`,
    );
    process.stdout.write(`  the event loop stood still for ${shipping.longest.toFixed(1)} ms at most\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
