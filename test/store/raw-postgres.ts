import { systemClock } from "../../src/clock.ts";
import { clientConfigs } from "../../src/postgres/client-config.ts";
import { HostRing } from "../../src/postgres/host-ring.ts";
import { openPool } from "../../src/postgres/pool.ts";
import { parsePostgresUrl } from "../../src/postgres/postgres-url.ts";
import { PostgresDatabase } from "../../src/store/postgres/postgres-database.ts";

/** The database of a store in PostgreSQL, for stores with other steps than the released ones. */
export async function openRawPostgres(url: string): Promise<PostgresDatabase> {
  const place = parsePostgresUrl(url, ["schema"]);
  return new PostgresDatabase({
    url,
    pool: await openPool(place, "keystead", 2),
    listening: new HostRing(await clientConfigs(place, "keystead listener")),
    schema: place.parameters["schema"] ?? "keystead",
    clock: systemClock,
    readOnly: false,
    lockTimeout: 60_000,
    statementTimeout: 60_000,
  });
}
