// Exit code 0 while the server of this container is ready. KEYSTEAD_HEALTH_URL when it is not plain HTTP on port 8400.
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import process from "node:process";

const url = new URL(process.env.KEYSTEAD_HEALTH_URL ?? "http://127.0.0.1:8400/readyz");
if (!["127.0.0.1", "[::1]", "localhost"].includes(url.hostname)) throw new Error("KEYSTEAD_HEALTH_URL must be on this machine");
const get = url.protocol === "https:" ? getSecure : getPlain;
// Nothing is sent, and it is this container that answers: whose name is in the certificate does not matter.
const request = get(url, { timeout: 4_000, rejectUnauthorized: false }, (answer) => {
  answer.resume();
  process.exitCode = answer.statusCode === 200 ? 0 : 1;
});
request.on("timeout", () => request.destroy());
request.on("error", () => {
  process.exitCode = 1;
});
