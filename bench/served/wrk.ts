import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** One request, sent over and over. */
export interface LoadRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const figuresSchema = z.object({
  /** Answers within the time. */
  requests: z.number(),
  seconds: z.number(),
  /** Answers that were not good, and connections that failed. */
  failures: z.number(),
  /** Latencies in milliseconds. */
  p50: z.number(),
  p99: z.number(),
});

/** What wrk measured. */
export type LoadFigures = z.output<typeof figuresSchema>;

/** Finds wrk, and installs Debian's package where it may. @throws Error that says what to do */
export function requireWrk(): void {
  if (isThere()) return;
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    for (const args of [["update"], ["install", "-y", "--no-install-recommends", "wrk"]])
      spawnSync("apt-get", ["-q", ...args], { stdio: ["ignore", "ignore", "inherit"], env });
  }
  if (!isThere()) throw new Error("the load comes from wrk, which is not installed: install Debian's package wrk");
}

function isThere(): boolean {
  return spawnSync("wrk", ["--version"]).error === undefined;
}

/** Sends a request over and over, one thread and so many connections. @param folder - for a file that holds the token */
export async function load(folder: string, request: LoadRequest, connections: number, seconds: number): Promise<LoadFigures> {
  const script = join(folder, "load.lua");
  writeFileSync(script, scriptOf(request), { mode: 0o600 });
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "--latency", "-s", script, request.url];
  const wrk = spawn("wrk", args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  wrk.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await once(wrk, "close");
  const figures = /^figures (.*)$/m.exec(said)?.[1];
  if (figures === undefined) throw new Error(`wrk says nothing: ${said}`);
  return figuresSchema.parse(JSON.parse(figures));
}

function scriptOf({ headers, body }: LoadRequest): string {
  return [
    `wrk.method = "POST"`,
    ...Object.entries({ ...headers, "content-type": "application/json" }).map(
      ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
    ),
    // A text of JSON without characters that need \u is a text of Lua, too.
    `wrk.body = ${JSON.stringify(body)}`,
    "function done(summary, latency)",
    "  local errors = summary.errors",
    "  local failures = errors.connect + errors.read + errors.write + errors.timeout + errors.status",
    `  io.write(string.format('\\nfigures {"requests":%d,"seconds":%f,"failures":%d,"p50":%f,"p99":%f}\\n',`,
    "    summary.requests, summary.duration / 1e6, failures, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))",
    "end",
    "",
  ].join("\n");
}
