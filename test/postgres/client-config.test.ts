import { once } from "node:events";
import { createServer } from "node:net";
import pg from "pg";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { clientConfigs } from "../../src/postgres/client-config.ts";
import { parsePostgresUrl } from "../../src/postgres/postgres-url.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { failureOf, layoutOf, openSource } from "../datasets/postgres/database.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("how to connect", () => {
  it("does not come from the environment", async () => {
    for (const [name, value] of Object.entries({ PGHOST: "other", PGUSER: "other", PGPASSWORD: "other", PGSSLMODE: "no-verify" }))
      vi.stubEnv(name, value);
    vi.stubEnv("PGSSLNEGOTIATION", "direct");
    const [config] = await clientConfigs(parsePostgresUrl("postgresql://anna@127.0.0.1/crm", []), "test");
    const client = new pg.Client(config);
    expect([client.host, client.user, client.ssl]).toEqual(["127.0.0.1", "anna", false]);
  });

  it("is said to be wrong where what answers speaks no TLS and no PostgreSQL", async () => {
    const server = createServer((socket) => socket.on("error", () => undefined).end("EFATAL: no more processes\n\0")).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
    });
    const address = server.address();
    const url = `postgresql://anna@127.0.0.1:${String(typeof address === "object" ? address?.port : 0)}/crm?sslmode=verify-ca`;
    const problem = "because it answered neither yes nor no when it was asked for TLS: check host and port, and the log of the server";
    const source = await openSource(url, layoutOf("person", {}));
    expect(await failureOf(source.describe())).toContain(`DATABASE_FAILED: database ${url}: no connection, ${problem}`);
    await source.close();
    const store = await openPostgresStore(url, { clock: systemClock });
    expect(await failureOf(store.exists())).toContain(`STORE_FAILED: no connection to the database, ${problem}`);
    await store.close();
  });
});
