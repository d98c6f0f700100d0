import { Codecs } from "../datasets/codecs.ts";
import type { CodecConfig } from "../datasets/codecs/codec-types.ts";
import { Databases } from "../datasets/databases.ts";
import type { DatasetSourceProvider } from "../datasets/source.ts";

/** What the local configuration says of data outside the store. */
export interface OutsideData {
  readonly databases: Databases;
  readonly codecs: Codecs;
}

/**
 * Databases and codecs by their names; nothing is opened yet.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the codec and the option that is wrong
 */
export function outsideData(options: {
  readonly databases?: Readonly<Record<string, string>>;
  readonly codecs?: Readonly<Record<string, CodecConfig>>;
}): OutsideData {
  const databases = new Databases(options.databases ?? {}, {
    sqlite: async () => new (await import("../datasets/sqlite/sqlite-source-provider.ts")).SqliteSourceProvider(),
    postgresql: () => postgresSources("postgresql"),
    postgres: () => postgresSources("postgres"),
  });
  return { databases, codecs: new Codecs(options.codecs ?? {}, databases) };
}

async function postgresSources(scheme: "postgresql" | "postgres"): Promise<DatasetSourceProvider> {
  return new (await import("../datasets/postgres/postgres-source-provider.ts")).PostgresSourceProvider(scheme);
}
