import { shellWord, typedCommand } from "../typed-command.ts";
import type { FirstToken } from "./first-token.ts";

/** What is said when a server is ready. */
export interface Welcome {
  readonly url: string;
  readonly folder: string;
  readonly workers: number;
  readonly token: FirstToken;
  /** Settings of curl that reach it: a certificate of one's own is not one that curl trusts. */
  readonly isSecure: boolean;
}

/** The lines: where the server is, who may use it, and three commands to try. */
export function welcomeText({ url, folder, workers, token, isSecure }: Welcome): string {
  const curl = isSecure ? "curl -s --cacert AUTHORITY.crt" : "curl -s";
  const post = (path: string, body: object): string =>
    `  ${curl} -H "Authorization: Bearer $KEYSTEAD_TOKEN" --json '${JSON.stringify(body)}' ${url}${path}`;
  return [
    `Keystead serves ${folder} at ${url}${workers === 1 ? "" : ` with ${workers} workers`}; Ctrl-C ends it.`,
    "",
    ...tokenLines(folder, token),
    "",
    "Try it:",
    `  ${curl} ${url}/readyz`,
    post("/v1/keys", { name: "pii-email", purpose: "pii" }),
    post("/v1/encrypt", { key: "pii-email", text: "anna@example.org", context: { table: "person", column: "email" } }),
    "",
  ].join("\n");
}

function tokenLines(folder: string, token: FirstToken): string[] {
  if (token.kind === "shown")
    return ["A token for an administrator, good for an hour and shown only now:", "", `  export KEYSTEAD_TOKEN=${token.token}`];
  if (token.kind === "written")
    return ["A token for an administrator, good for an hour, is in a file:", "", `  export KEYSTEAD_TOKEN=$(cat ${shellWord(token.file)})`];
  const create = typedCommand(folder, "tokens create first --role key-admin --role encryptor");
  return [
    "Calls need a token. This makes one that is good for a day and for the commands below:",
    "",
    `  export KEYSTEAD_TOKEN=$(${create})`,
  ];
}
