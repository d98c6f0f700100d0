/** Addresses that take calls to any address of the machine, as `URL` writes them, and where the machine itself reaches them. */
const loopbacks: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "[::]": "[::1]" };

/**
 * Where commands reach a server, without a `/` at the end: its public address, or the one that it listens at. Loopback stands for all addresses
 * of the machine: no certificate is for those, and not every machine reaches itself there. Where there is a certificate it is `localhost`.
 *
 * @param url - what the server says of itself
 * @example reachableUrl("https://0.0.0.0:8400") // "https://localhost:8400"
 */
export function reachableUrl(url: string): string {
  const found = URL.parse(url);
  const loopback = found === null ? undefined : loopbacks[found.hostname];
  if (loopback === undefined) return url.replace(/\/$/, "");
  return url.replace(/\/\/(?:\[.*\]|[^:/]+)/, `//${found?.protocol === "https:" ? "localhost" : loopback}`);
}
