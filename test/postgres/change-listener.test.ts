import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { HostRing } from "../../src/postgres/host-ring.ts";
import { ChangeListener } from "../../src/postgres/change-listener.ts";
import { type PoolerOrder, TransactionPooler } from "../support/transaction-pooler.ts";

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(5);
}

function listen(connectionString = `${inject("postgres")}postgres`) {
  const channel = `test_${randomUUID()}`;
  const heard = { times: 0 };
  const hosts = new HostRing([{ connectionString, application_name: channel }]);
  const listener = new ChangeListener({ hosts, channel, onChange: () => (heard.times += 1) });
  const pool = new pg.Pool({ connectionString: `${inject("postgres")}postgres`, max: 1 });
  onTestFinished(async () => {
    await listener.close();
    await pool.end();
  });
  return { listener, heard, channel, pool };
}

describe("a listener for changes", () => {
  it("hears each notification, and one when it begins", async () => {
    const { listener, heard, channel, pool } = listen();
    await until(async () => (await listener.problem()) === undefined);
    expect(heard.times).toBe(1);
    for (let times = 2; times <= 4; times++) {
      await pool.query("select pg_notify($1, '')", [channel]);
      await until(() => heard.times === times);
    }
  });

  it("takes no notice of other channels and of probes", async () => {
    const { listener, heard, channel, pool } = listen();
    await until(async () => (await listener.problem()) === undefined);
    await pool.query("select pg_notify($1, ''), pg_notify($2, 'probe')", ["another", channel]);
    await pool.query("select pg_notify($1, '')", [channel]);
    await until(() => heard.times >= 2);
    expect(heard.times).toBe(2);
  });

  it("connects again when its connection is lost, and then calls because it may have missed something", async () => {
    const { listener, heard, channel, pool } = listen();
    await until(async () => (await listener.problem()) === undefined);
    await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", [channel]);
    await until(async () => (await listener.problem()) !== undefined);
    await until(async () => (await listener.problem()) === undefined);
    expect(heard.times).toBe(2);
  });

  it("says why it hears nothing", async () => {
    const { listener, heard } = listen("postgresql://postgres@127.0.0.1:1/postgres");
    await until(async () => String(await listener.problem()).includes("ECONNREFUSED"));
    expect(heard.times).toBe(0);
  });

  it.each<PoolerOrder>(["longest rest", "shortest rest"])("says so when a pooler swallows notifications (%s)", async (order) => {
    const pooler = await TransactionPooler.start(Number(new URL(inject("postgres")).port), 3, order);
    onTestFinished(() => {
      pooler.stop();
    });
    const { listener, heard } = listen(`postgresql://postgres@127.0.0.1:${String(pooler.port)}/postgres`);
    expect(String(await listener.problem())).toMatch(/notifications don't arrive: .*to the database itself, or to a pooler .*session/);
    expect(heard.times).toBe(0);
  });

  it("is closed at once while it waits to hear something", async () => {
    const pooler = await TransactionPooler.start(Number(new URL(inject("postgres")).port), 2);
    onTestFinished(() => {
      pooler.stop();
    });
    const { listener } = listen(`postgresql://postgres@127.0.0.1:${String(pooler.port)}/postgres`);
    await until(() => pooler.transactions.some((transactions) => transactions > 0));
    expect(await timeOf(() => listener.close())).toBeLessThan(2_000);
  });

  it("is closed at once while nobody answers", async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address();
    const { listener } = listen(`postgresql://postgres@127.0.0.1:${String(typeof address === "object" ? address?.port : 0)}/postgres`);
    await until(() => sockets.length > 0);
    expect(await timeOf(() => listener.close())).toBeLessThan(2_000);
  });

  it("is closed soon though the server fell silent", async () => {
    const relay = await Relay.start();
    const { listener } = listen(relay.url);
    expect(await listener.problem()).toBeUndefined();
    relay.silence();
    expect(await timeOf(() => listener.close())).toBeLessThan(3_000);
  });

  it("leaves a connection that the server gave up and did not end", async () => {
    const relay = await Relay.start();
    const { listener, heard, channel, pool } = listen(relay.url);
    expect(await listener.problem()).toBeUndefined();
    const [first] = relay.clients;
    if (first === undefined) throw new Error("nobody came");
    const farewell = Buffer.from("E\0\0\0\0SFATAL\0C57P01\0Mterminating connection\0\0");
    farewell.writeInt32BE(farewell.length - 1, 1);
    first.write(farewell);
    await until(() => first.closed);
    await until(async () => (await listener.problem()) === undefined);
    expect(heard.times).toBe(2);
    await pool.query("select pg_notify($1, '')", [channel]);
    await until(() => heard.times >= 3);
    expect(heard.times).toBe(3);
  });

  it("says what is wrong with how it is to connect", async () => {
    const listener = new ChangeListener({
      hosts: new HostRing([{ host: "127.0.0.1", ssl: false, sslnegotiation: "direct" }]),
      channel: "test",
      onChange: () => undefined,
    });
    expect(String(await listener.problem())).toContain("sslnegotiation");
    await listener.close();
  });
});

/** Stands between a client and the server. */
class Relay {
  readonly url: string;
  readonly clients: Socket[];
  readonly #servers: Socket[];

  private constructor(url: string, clients: Socket[], servers: Socket[]) {
    this.url = url;
    this.clients = clients;
    this.#servers = servers;
  }

  static async start(): Promise<Relay> {
    const clients: Socket[] = [];
    const servers: Socket[] = [];
    const relay = createServer((client) => {
      const server = connect(Number(new URL(inject("postgres")).port), "127.0.0.1");
      for (const socket of [client, server]) socket.on("error", () => undefined);
      client.pipe(server).pipe(client);
      clients.push(client);
      servers.push(server);
    }).listen(0, "127.0.0.1");
    await once(relay, "listening");
    onTestFinished(() => {
      relay.close();
      for (const socket of [...clients, ...servers]) socket.destroy();
    });
    const address = relay.address();
    return new Relay(
      `postgresql://postgres@127.0.0.1:${String(typeof address === "object" ? address?.port : 0)}/postgres`,
      clients,
      servers,
    );
  }

  /** From now on nothing is passed on or answered, as where the network is cut. */
  silence(): void {
    for (const socket of [...this.clients, ...this.#servers]) socket.unpipe().pause();
  }
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const began = systemClock.monotonic();
  await work();
  return systemClock.monotonic() - began;
}
