import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { registerSecret } from "../setup/canary.ts";
import { watchChild } from "../setup/watched-child.ts";
import { freePort } from "./free-port.ts";
import { keycloakHome } from "./keycloak-program.ts";

// A serial collector and one compiler: it starts a third faster on two cores, and takes 150 MiB less.
const javaOptions = [
  "-Xms64m -Xmx512m -XX:MetaspaceSize=96M -XX:MaxMetaspaceSize=256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
  "-XX:+ExitOnOutOfMemoryError -Djava.security.egd=file:/dev/urandom -Dfile.encoding=UTF-8",
].join(" ");
const startLimit = 240_000;

const tokensSchema = z.object({
  access_token: z.string(),
  refresh_token: z.string().optional(),
  id_token: z.string().optional(),
});

/** What the token endpoint answers with. */
export type Tokens = z.output<typeof tokensSchema>;

/** A real Keycloak of a test's own: in memory, on this machine only, gone when the test disposes of it. */
export class KeycloakServer {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #password: string;

  private constructor(url: string, child: ChildProcess, password: string) {
    this.url = url;
    this.#child = child;
    this.#password = password;
  }

  /** Gets the program where it is missing, and starts it. Resolves when it answers, after half a minute or so. */
  static async start(): Promise<KeycloakServer> {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const password = newSecret();
    const flags = [
      "--db=dev-mem",
      "--cache=local",
      "--log-level=warn",
      "--http-host=127.0.0.1",
      `--http-port=${port}`,
      `--hostname=${url}`,
    ];
    const child = spawn(join(keycloakHome(), "bin", "kc.sh"), ["start-dev", ...flags], {
      // A group of its own: the script is the parent of Java.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        JAVA_OPTS: javaOptions,
        KC_BOOTSTRAP_ADMIN_USERNAME: "admin",
        KC_BOOTSTRAP_ADMIN_PASSWORD: password,
      },
    });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
    watchChild(child);
    const server = new KeycloakServer(url, child, password);
    const limit = performance.now() + startLimit;
    while (!(await answers(`${url}/realms/master`))) {
      if (child.exitCode === null && performance.now() < limit) {
        await pause(200);
        continue;
      }
      await server.stop();
      throw new Error(`Keycloak did not start: ${said.join("")}`);
    }
    return server;
  }

  /** The issuer of a realm. */
  issuer(realm: string): string {
    return `${this.url}/realms/${realm}`;
  }

  /** Tokens by the password of a user, or of a client for itself. */
  async tokens(realm: string, client: string, form: Readonly<Record<string, string>>): Promise<Tokens> {
    const body = new URLSearchParams({ client_id: client, ...form });
    const response = await fetch(`${this.issuer(realm)}/protocol/openid-connect/token`, { method: "POST", body });
    if (!response.ok) throw new Error(`Keycloak gives no token: ${await response.text()}`);
    return tokensSchema.parse(await response.json());
  }

  /** A call of the admin interface. @returns the JSON of its answer, if it has any */
  async admin(method: string, path: string, body?: unknown): Promise<unknown> {
    const { access_token } = await this.tokens("master", "admin-cli", {
      grant_type: "password",
      username: "admin",
      password: this.#password,
    });
    const response = await fetch(`${this.url}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${access_token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Keycloak answers ${method} ${path} with ${String(response.status)}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Ends it. */
  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    process.kill(-pid, "SIGKILL");
    await exit;
  }
}

/** A secret that must not be seen in any output. */
export function newSecret(): string {
  const secret = randomBytes(18).toString("base64url");
  registerSecret(secret);
  return secret;
}

async function answers(address: string): Promise<boolean> {
  try {
    const response = await fetch(address);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
