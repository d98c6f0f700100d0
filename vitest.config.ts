import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "node",
    pool: "forks",
    maxWorkers: 2,
    include: ["test/**/*.test.ts"],
    exclude: ["test/servers/**", "node_modules/**"],
    globalSetup: ["test/setup/postgres.ts"],
    setupFiles: ["test/setup/diagnostic-report.ts"],
    testTimeout: 60_000,
    // Conditions are waited for, however busy the machine is.
    expect: { poll: { timeout: 15_000 } },
    hookTimeout: 120_000,
    execArgv: ["--disable-warning=ExperimentalWarning", "--report-exclude-env", "--report-exclude-network"],
  },
});
