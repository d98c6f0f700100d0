import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** The longer suites, on servers of their own. */
export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [] } },
  defineConfig({ test: { include: ["test/servers/**/*.test.ts"], exclude: ["node_modules/**"], maxWorkers: 1 } }),
);
