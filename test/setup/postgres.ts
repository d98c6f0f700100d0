import type { TestProject } from "vitest/node";
import { PostgresServer } from "../support/postgres-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** URL of a PostgreSQL server that all test files share, without a database: `postgresql://postgres@127.0.0.1:5432/`. */
    readonly postgres: string;
  }
}

/** One PostgreSQL server for the whole run. Every test makes a schema or a database of its own in it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await PostgresServer.start();
  project.provide("postgres", server.url(""));
  return async () => {
    await server.stop();
  };
}
