import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { z } from "zod";
import type { AnyRoute } from "../../src/api/route.ts";
import { RawConnection, requestText, startTestServer, type TestServer } from "./support/test-server.ts";

const nothing = z.strictObject({});
const most = 4_000;
const piece = "x".repeat(10_000);

/** What happened to the answers of a stream, and whether they are enough. */
interface Told {
  made: number;
  isEnough: boolean;
  isEnded: boolean;
}

/** A route that answers small pieces one by one, for as long as they are taken, whatever it is told. */
function smallPieces(stream: "events" | "ndjson"): { readonly route: AnyRoute; readonly told: Told } {
  const told: Told = { made: 0, isEnough: false, isEnded: false };
  async function* answers(): AsyncGenerator {
    try {
      while (!told.isEnough && told.made < most) {
        told.made += 1;
        yield { piece };
        // Each goes out by itself.
        await setImmediate();
      }
    } finally {
      told.isEnded = true;
    }
  }
  const facts = {
    method: "POST",
    path: "/v1/pieces",
    summary: "Small pieces.",
    tag: "test",
    action: "test.pieces",
    idempotent: true,
    status: 200,
    tagged: false,
    problems: [],
    audit: "service",
    params: nothing,
    query: nothing,
    body: nothing,
    answer: z.unknown(),
    handle: answers,
  } as const;
  return { route: stream === "events" ? { ...facts, stream } : { ...facts, stream }, told };
}

/** Asks for pieces, reads none of them, and waits until no more are made. */
async function stall(stream: "events" | "ndjson"): Promise<{ server: TestServer; connection: RawConnection; told: Told }> {
  const { route, told } = smallPieces(stream);
  const server = await startTestServer({ routes: [route] });
  const connection = new RawConnection(server.port);
  connection.socket.pause();
  const type = stream === "ndjson" ? { "Content-Type": "application/x-ndjson" } : {};
  connection.send(requestText("POST", "/v1/pieces", type, "{}"));
  const other = new RawConnection(server.port);
  await expect.poll(() => told.made).toBeGreaterThan(0);
  for (let before = -1; told.made !== before;) {
    before = told.made;
    for (let turn = 0; turn < 30; turn += 1) await other.send(requestText("GET", "/livez")).answer();
  }
  return { server, connection, told };
}

it.each(["events", "ndjson"] as const)("small pieces of %s are made no faster than the client reads", async (stream) => {
  const { connection, told } = await stall(stream);
  expect(told.made).toBeLessThan(most);
  const { made } = told;
  connection.socket.resume();
  await expect.poll(() => told.made).toBeGreaterThan(made);
  told.isEnough = true;
  await expect.poll(() => told.isEnded).toBe(true);
});

it.each(["events", "ndjson"] as const)("%s end when the client goes away that does not read them", async (stream) => {
  const { connection, told } = await stall(stream);
  connection.socket.destroy();
  await expect.poll(() => told.isEnded).toBe(true);
  expect(told.made).toBeLessThan(most);
});

it("events that nobody reads end when the server does", async () => {
  const { server, connection, told } = await stall("events");
  const closed = server.server.close();
  await expect.poll(() => told.isEnded).toBe(true);
  expect(told.made).toBeLessThan(most);
  connection.socket.resume();
  await connection.all();
  await closed;
});
