import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What becomes of a connection when a client sends something. */
export type ProxyVerdict = "pass" | "cut before" | "cut after" | "swallow";

/** A relay between a client and a PostgreSQL server that cuts connections at chosen moments; closed after the test. */
export interface PostgresProxy {
  /** The URL with the proxy in place of the server. */
  readonly url: string;
  /** Asked for each piece that a client sends: `cut after` lets it arrive and the server answer, but nobody hears that; `swallow`: nobody
   * ever hears of it. */
  judge: (sent: string) => ProxyVerdict;
}

export async function startProxy(url: string): Promise<PostgresProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let isDeaf = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.on("data", (piece) => {
      const verdict = proxy.judge(piece.toString("latin1"));
      if (verdict === "swallow") return;
      if (verdict === "cut before") {
        upstream.destroy();
        client.destroy();
        return;
      }
      isDeaf ||= verdict === "cut after";
      upstream.write(piece);
    });
    upstream.on("data", (piece) => {
      if (!isDeaf) client.write(piece);
      else {
        client.destroy();
        upstream.destroy();
      }
    });
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  const own = new URL(url);
  own.hostname = "127.0.0.1";
  own.port = String(address.port);
  const proxy: PostgresProxy = { url: own.href, judge: () => "pass" };
  onTestFinished(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  });
  return proxy;
}
