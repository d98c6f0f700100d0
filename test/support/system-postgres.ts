import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

const folder = "/usr/lib/postgresql";

/** Environment variable that has tests use the PostgreSQL in this folder, not the one from npm. */
export const postgresHomeVariable = "KEYSTEAD_TEST_POSTGRES_HOME";

/** The folder of the newest PostgreSQL that Debian's packages installed; undefined without one. */
export function systemPostgresHome(): string | undefined {
  if (!existsSync(folder)) return undefined;
  const versions = readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, "bin", "initdb")))
    .sort((a, b) => Number(b) - Number(a));
  return versions[0] === undefined ? undefined : join(folder, versions[0]);
}
