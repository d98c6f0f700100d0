import { defineConfig, mergeConfig } from "vitest/config";
import config from "./vitest.config.ts";

/** What runs on a PostgreSQL server from elsewhere than npm, and what needs more than one. */
export default mergeConfig(
  { ...config, test: { ...config.test, include: [], exclude: ["node_modules/**"] } },
  defineConfig({
    test: {
      include: [
        "test/servers/**/*.test.ts",
        "test/postgres/**/*.test.ts",
        "test/store/postgres-*.test.ts",
        "test/datasets/postgres/**/*.test.ts",
        "test/keys/{standbys,postgres-changes}.test.ts",
        "test/keystead/copy-keystead.test.ts",
      ],
    },
  }),
);
