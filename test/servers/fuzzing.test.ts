import { randomInt } from "node:crypto";
import { beforeEach, expect, it } from "vitest";
import { missingForPython } from "../support/python-environment.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { fuzz, type FuzzRun } from "./support/fuzz.ts";
import { serveFuzzed } from "./support/fuzzed-server.ts";

const missing = missingForPython("Schemathesis");
beforeEach(({ skip }) => skip(missing !== undefined, missing));

const seconds = Number(process.env["KEYSTEAD_FUZZ_SECONDS"] ?? 300);
const seed = Number(process.env["KEYSTEAD_FUZZ_SEED"] ?? randomInt(2 ** 31));

const quick = ["--phases", "examples,coverage,fuzzing"];
const share = (part: number): number => Math.max(1, Math.floor(seconds * part));
const everything = (token: string): Omit<FuzzRun, "seed">[] => [
  { caller: "all", token, seconds: share(0.7), arguments: ["--exclude-tag", "access"] },
];

it(
  "no request that the document describes, or that breaks it, is answered otherwise than the document says",
  { timeout: seconds * 2_000 + 300_000 },
  async () => {
    process.stdout.write(`fuzzing for ${String(seconds)} s: KEYSTEAD_FUZZ_SEED=${String(seed)}\n`);
    const server = await serveFuzzed(temporaryFolder());
    const { tokens } = server;
    const runs: Omit<FuzzRun, "seed">[] = [
      { caller: "nobody", seconds: share(0.1), arguments: quick },
      { caller: "weak", token: tokens.weak, seconds: share(0.1), arguments: quick },
      ...everything(tokens.all),
      // Last, and with a token of its own: it may well deny itself everything.
      { caller: "all", token: tokens.spare, seconds: share(0.1), arguments: [...quick, "--include-tag", "access"] },
    ];
    for (const run of runs)
      expect(await fuzz(server, { ...run, seed }), `as ${run.caller}, KEYSTEAD_FUZZ_SEED=${String(seed)}`).toBeUndefined();

    const calls = callsOf(server.errors());
    process.stdout.write(
      `fuzzed: ${String(calls.count)} calls, ${String(calls.good.size)} of ${String(calls.routes.size)} routes with a good answer\n`,
    );
    // Else it never got beyond refusals.
    expect(calls.good.size).toBeGreaterThan(calls.routes.size / 2);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect(await server.end()).toBe(0);
    expect(server.errors()).not.toMatch(/"level":[56]0|^ {4}at /m);
    server.command("audit", "verify");
  },
);

/** What a log tells of calls. */
function callsOf(log: string): { readonly count: number; readonly routes: Set<string>; readonly good: Set<string> } {
  const found = { count: 0, routes: new Set<string>(), good: new Set<string>() };
  for (const line of log.split("\n").filter((text) => text.includes('"msg":"request"'))) {
    const { method, route, status } = JSON.parse(line) as { readonly method: string; readonly route?: string; readonly status: number };
    found.count++;
    if (route === undefined) continue;
    found.routes.add(`${method} ${route}`);
    if (status < 300) found.good.add(`${method} ${route}`);
  }
  return found;
}
