import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { HostRing } from "../../src/postgres/host-ring.ts";
import { ChangeListener } from "../../src/postgres/change-listener.ts";

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
});
