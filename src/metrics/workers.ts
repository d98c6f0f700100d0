import type { Cluster, Worker } from "node:cluster";
import { z } from "zod";
import type { Clock } from "../clock.ts";
import type { Metrics, MetricsSnapshot } from "./metrics.ts";

/** How long the workers' numbers are waited for: each of them waits for its store for a second. Who does not answer by then is left out. */
const patience = 1_500;

const snapshot = z.array(z.looseObject({ name: z.string() }));
const facts = { keystead: z.literal("metrics"), id: z.string() };

/** A worker asks for the others' numbers, the primary process asks each of them, they answer, and it answers the one that asked. */
const message = z.discriminatedUnion("kind", [
  z.object({ ...facts, kind: z.literal("gather") }),
  z.object({ ...facts, kind: z.literal("collect") }),
  z.object({ ...facts, kind: z.literal("collected"), numbers: snapshot }),
  z.object({ ...facts, kind: z.literal("gathered"), others: z.array(snapshot) }),
]);

type Message = z.output<typeof message>;

/** The messages between a worker and the primary process: `process` in a worker. */
export interface WorkerChannel {
  /** @param callback - gets what keeps the message from being sent, which is an error of the channel otherwise */
  send?(message: unknown, callback: (error: Error | null) => void): unknown;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

/** Who is gone gets no message, and nobody waits for its answer for long. */
const ignore = (): void => undefined;

/** In a worker: answers with the numbers of all workers from now on. */
export function joinWorkers(metrics: Metrics, channel: WorkerChannel, clock: Clock): void {
  const waiting = new Map<string, (others: readonly MetricsSnapshot[]) => void>();
  let asked = 0;
  const send = (what: Message): void => {
    channel.send?.(what, ignore);
  };
  channel.on("message", (received) => {
    const { data } = message.safeParse(received);
    if (data?.kind === "gathered") waiting.get(data.id)?.(data.others);
    if (data?.kind !== "collect") return;
    const { id } = data;
    void metrics.collect().then((numbers) => send({ keystead: "metrics", id, kind: "collected", numbers: snapshot.parse(numbers) }));
  });
  metrics.gatherBy(async (own) => {
    asked += 1;
    const id = String(asked);
    const answered = new Promise<readonly MetricsSnapshot[]>((resolve) => waiting.set(id, resolve));
    send({ keystead: "metrics", id, kind: "gather" });
    const others = await inTime(answered, clock, patience * 2);
    waiting.delete(id);
    return [own, ...(others ?? [])];
  });
}

/** A question of one worker, while the others are asked. */
interface Gathering {
  readonly left: Set<number>;
  readonly others: MetricsSnapshot[];
  readonly finish: () => void;
}

/** In the primary process: asks the other workers for the one that wants to know. */
export function passMetricsOn(cluster: Pick<Cluster, "on" | "workers">, clock: Clock): void {
  const gatherings = new Map<string, Gathering>();
  const gather = async (asker: Worker, id: string): Promise<void> => {
    const others = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    const asked = others.filter((worker) => worker.id !== asker.id && worker.isConnected());
    const name = `${String(asker.id)} ${id}`;
    const all = Promise.withResolvers<undefined>();
    const gathering = { left: new Set(asked.map((worker) => worker.id)), others: [], finish: () => all.resolve(undefined) };
    gatherings.set(name, gathering);
    for (const worker of asked) worker.send({ keystead: "metrics", id: name, kind: "collect" }, ignore);
    if (asked.length > 0) await inTime(all.promise, clock, patience);
    gatherings.delete(name);
    if (asker.isConnected()) asker.send({ keystead: "metrics", id, kind: "gathered", others: gathering.others }, ignore);
  };
  const leave = (worker: Worker, gathering: Gathering | undefined): void => {
    gathering?.left.delete(worker.id);
    if (gathering?.left.size === 0) gathering.finish();
  };
  cluster.on("message", (worker, received: unknown) => {
    const { data } = message.safeParse(received);
    if (data?.kind === "gather") void gather(worker, data.id);
    if (data?.kind !== "collected") return;
    const gathering = gatherings.get(data.id);
    if (gathering?.left.has(worker.id) === true) gathering.others.push(data.numbers);
    leave(worker, gathering);
  });
  cluster.on("exit", (worker) => {
    for (const gathering of gatherings.values()) leave(worker, gathering);
  });
}

async function inTime<T>(work: Promise<T>, clock: Clock, milliseconds: number): Promise<T | undefined> {
  const enough = new AbortController();
  const late = clock.wait(milliseconds, enough.signal).then(
    () => undefined,
    () => undefined,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    enough.abort();
  }
}
