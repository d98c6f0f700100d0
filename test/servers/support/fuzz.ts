import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { recordOutput } from "../../setup/canary.ts";
import { pythonWith } from "../../support/python-environment.ts";
import type { FuzzedServer } from "./fuzzed-server.ts";

/** Who fuzzes: one who may do all, nobody, one who may do nothing. */
export type FuzzCaller = "all" | "nobody" | "weak";

/** One run of Schemathesis. */
export interface FuzzRun {
  readonly caller: FuzzCaller;
  readonly token?: string;
  readonly seconds: number;
  readonly seed: number;
  readonly arguments: readonly string[];
}

const fileOf = (name: string): string => fileURLToPath(new URL(`schemathesis/${name}`, import.meta.url));

/** What has to hold of every answer. */
const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "problem_is_whole",
  "nothing_secret",
  "lines_conform",
  "only_the_allowed",
];

/** Runs Schemathesis against a server. @returns undefined when it found nothing, else what it found, without secrets */
export async function fuzz(server: FuzzedServer, run: FuzzRun): Promise<string | undefined> {
  const python = pythonWith("schemathesis", fileOf("requirements.txt"));
  const { caller, token, seconds, seed } = run;
  const args = [
    ...["-m", "schemathesis.cli", "--config-file", fileOf("schemathesis.toml"), "run", `${server.url}/openapi.json`, "--no-color"],
    ...["--checks", checks.join(","), "--seed", String(seed), "--max-time", String(seconds), "--request-timeout", "30"],
    ...(token === undefined ? [] : ["--header", `Authorization: Bearer ${token}`]),
    ...run.arguments,
  ];
  const env = {
    ...process.env,
    PYTHONPATH: fileOf("."),
    PYTHONDONTWRITEBYTECODE: "1",
    SCHEMATHESIS_HOOKS: "checks",
    KEYSTEAD_FUZZ_CALLER: caller,
    KEYSTEAD_FUZZ_SECRETS: server.secrets.join("\n"),
    FUZZ_CIPHERTEXT: server.made.ciphertext,
    FUZZ_DATA_KEY: server.made.dataKey,
    FUZZ_TAG: server.made.tag,
  };
  const child = spawn(python, args, { env, cwd: server.folder, stdio: ["ignore", "pipe", "pipe"] });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
  const [code] = (await once(child, "close")) as [number | null];
  let output = said.join("");
  // Whatever it shows of a request or an answer.
  for (const secret of server.secrets) output = output.replaceAll(secret, "SECRET");
  output = output.replaceAll(/kst_[\w-]+/g, "kst_…");
  recordOutput(output);
  return code === 0 ? undefined : output;
}
