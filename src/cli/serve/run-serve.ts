import cluster from "node:cluster";
import type { Keystead, KeysteadOptions } from "../../index.ts";
import type { RunningServer } from "../../server/start-server.ts";
import type { ServerSettings } from "../../server/settings.ts";
import { serverSettings } from "../configuration.ts";
import { DataFolder } from "../data-folder.ts";
import { isDataFolder, makeDataFolder } from "../make-data-folder.ts";
import { packageVersion } from "../package-version.ts";
import { keysteadOptions } from "../session.ts";
import { stoppable } from "../signals.ts";
import { closeInTime, endWithout } from "./close-in-time.ts";
import { type FirstToken, makeFirstToken } from "./first-token.ts";
import { reachableUrl } from "./reachable-url.ts";
import { collectSeldom } from "./server-heap.ts";

/** What `keystead serve` is asked for. */
export interface ServeRequest {
  /** The data folder, as it was typed. */
  readonly folder: string;
  /** Make the folder when there is none. */
  readonly init: boolean;
  readonly tokenFile: string | undefined;
  /** Settings given on the command line. */
  readonly given: Readonly<Record<string, unknown>>;
  /** Somebody sees what is written to stdout. */
  readonly hasTerminal: boolean;
  /** Says that the server is ready. */
  readonly onReady: (ready: Ready) => Promise<void>;
}

/** A server that is ready. */
export interface Ready {
  /** Where commands reach it. */
  readonly url: string;
  readonly token: FirstToken;
  readonly settings: ServerSettings;
  /** Stdout has audit lines, and must have nothing else. */
  readonly recordsOnStdout: boolean;
}

/** Serves until SIGTERM or SIGINT, then ends in order. SIGHUP reads the files of TLS again. */
export async function runServe(request: ServeRequest): Promise<void> {
  const isNew = cluster.isPrimary && request.init && !(await isDataFolder(request.folder));
  if (isNew) await makeDataFolder(request.folder, { keyName: "main", passphrase: false });
  const folder = await DataFolder.open(request.folder);
  const settings = serverSettings(folder.configuration, request.given);
  const wantsToken = isNew && request.hasTerminal;
  if (cluster.isPrimary && settings.workers > 1) await supervise(request, folder, settings, wantsToken);
  else await serveHere(request, folder, settings, wantsToken);
}

/** Serves in this process. */
async function serveHere(request: ServeRequest, folder: DataFolder, settings: ServerSettings, wantsToken: boolean): Promise<void> {
  collectSeldom();
  const { openWatch } = await import("../../server/watch.ts");
  const { systemClock } = await import("../../index.ts");
  const watch = await openWatch(settings, { version: packageVersion(), clock: systemClock });
  const keystead = await open(folder, { metrics: watch.metrics, observers: watch.traces });
  try {
    const token: FirstToken = cluster.isPrimary ? await makeFirstToken(keystead, request.tokenFile, wantsToken) : { kind: "none" };
    const { startServer } = await import("../../server/start-server.ts");
    const { openAuthenticators } = await import("../../server/authenticators.ts");
    const { LogOutput } = await import("../../server/log-output.ts");
    const { routes } = await import("../../api/routes.ts");
    const log = new LogOutput();
    const authenticators = await openAuthenticators(keystead, settings, folder.path);
    const version = packageVersion();
    const server = await startServer({ keystead, routes, authenticators, settings, folder: folder.path, version, log, watch });
    try {
      const ready = { url: reachableUrl(server.url), token, settings, recordsOnStdout: hasRecordsOnStdout(folder) };
      await untilStopped(server, async () => {
        if (cluster.isPrimary) await request.onReady(ready);
      });
    } finally {
      await server.close();
      log.flush();
    }
  } finally {
    await closeInTime(keystead, systemClock);
    cluster.worker?.disconnect();
  }
}

/** Looks after workers that serve. */
async function supervise(request: ServeRequest, folder: DataFolder, settings: ServerSettings, wantsToken: boolean): Promise<void> {
  const { Supervisor } = await import("../../server/supervise.ts");
  const { systemClock } = await import("../../index.ts");
  const keystead = await open(folder);
  const token = await makeFirstToken(keystead, request.tokenFile, wantsToken).finally(() => keystead.close());
  const supervisor = new Supervisor({
    workers: settings.workers,
    clock: systemClock,
    stdout: process.stdout,
    onLoss: (loss) => {
      const msg = loss.problem === undefined ? "a worker ended and is replaced" : "a worker was not started, which is tried again";
      process.stderr.write(`${JSON.stringify({ level: 50, msg, ...loss })}\n`);
    },
  });
  const reload = (): void => supervisor.signal("SIGHUP");
  process.on("SIGHUP", reload);
  try {
    await stoppable(async (signal) => {
      const listening = await Promise.race([supervisor.start(), supervisor.failed]);
      if (typeof listening === "number") {
        // It has said itself what is wrong.
        process.exitCode = listening;
        return;
      }
      const scheme = settings.tls === undefined ? "http" : "https";
      const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
      const url = settings.publicUrl ?? `${scheme}://${host}:${listening.port}`;
      await request.onReady({ url: reachableUrl(url), token, settings, recordsOnStdout: hasRecordsOnStdout(folder) });
      await aborted(signal);
    });
  } finally {
    const isPassedOn = await supervisor.end();
    process.off("SIGHUP", reload);
    // What stdout has not taken would keep the process.
    if (!isPassedOn) endWithout(["stdout"], systemClock);
  }
}

async function open(folder: DataFolder, watched: Pick<KeysteadOptions, "metrics" | "observers"> = {}): Promise<Keystead> {
  const { openKeystead } = await import("../../index.ts");
  return openKeystead({ ...(await keysteadOptions(folder, {}, { recordsOnStdout: true })), ...watched, threaded: true });
}

function hasRecordsOnStdout({ configuration }: DataFolder): boolean {
  return configuration.audit?.sinks.some(({ type }) => type === "stdout") === true;
}

/** @param onReady - called once the server ends in order when it is asked to: whoever hears that it is ready may ask at once */
async function untilStopped(server: RunningServer, onReady: () => Promise<void>): Promise<void> {
  const reload = (): void => {
    void server.reload();
  };
  process.on("SIGHUP", reload);
  try {
    await stoppable(async (signal) => {
      await onReady();
      await aborted(signal);
      await server.close();
    });
  } finally {
    process.off("SIGHUP", reload);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((settle) => {
    if (signal.aborted) settle();
    signal.addEventListener("abort", () => settle(), { once: true });
  });
}
