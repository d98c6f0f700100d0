import { expect, it, onTestFinished } from "vitest";
import { expectOneHistory } from "../keys/one-history.ts";
import { shareCompileCache } from "../datasets/support/killed-job.ts";
import { PostgresServer } from "../support/postgres-server.ts";

shareCompileCache();

it("sixteen processes rotate, suspend and destroy the same keys for 30 s: one history, no key lost", { timeout: 900_000 }, async () => {
  const server = await PostgresServer.start({ fsync: true, settings: { max_connections: "200" } });
  onTestFinished(() => server.stop());
  const store = server.url(await server.createDatabase());
  const { acts, days, destroyed, activated, expired, foreign } = await expectOneHistory({ store, children: 16, keysteads: 1, acts: "30s" });
  process.stdout.write(
    `${String(acts)} acts in ${String(days)} days of the shared clock: ${String(destroyed)} versions scheduled and destroyed, ${String(activated)} activated by their date, ${String(expired)} acts on expired ones, ${String(foreign)} texts of other processes opened\n`,
  );
  expect(acts).toBeGreaterThan(100);
  expect(foreign).toBeGreaterThan(0);
  expect(destroyed).toBeGreaterThan(0);
  expect(activated).toBeGreaterThan(0);
});
