import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { missingForKeycloak } from "../test/support/keycloak-program.ts";
import { missingForPython } from "../test/support/python-environment.ts";
import { postgresHomeVariable, systemPostgresHome } from "../test/support/system-postgres.ts";
import { closeRun } from "./counts.ts";
import { root } from "./tools.ts";

// npm run test:servers [-- ARGS]: the tests of stores and sources on the system's PostgreSQL, failover, Keycloak, and fuzzing by
// Schemathesis. Debian's packages are installed where they are missing and may be.

function missingPackages(): string[] {
  return [
    ...(systemPostgresHome() === undefined ? ["postgresql"] : []),
    ...(missingForKeycloak() === undefined ? [] : ["default-jre-headless", "maven"]),
    ...(missingForPython("Schemathesis") === undefined ? [] : ["python3", "python3-venv"]),
  ];
}

function install(packages: readonly string[]): void {
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...packages]])
    spawnSync("apt-get", ["-q", ...args], { stdio: ["ignore", "ignore", "inherit"], env });
}

install(missingPackages());
const home = systemPostgresHome();
if (home === undefined) {
  process.stdout.write("skipped: tests on the system's PostgreSQL (it is not installed: install Debian's package postgresql)\n");
  closeRun("servers", { passed: 0, failed: 0, skipped: 1 });
} else {
  const args = [join(root, "scripts", "test.ts"), "--config", "vitest.servers.config.ts", ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env: { ...process.env, [postgresHomeVariable]: home } });
  process.exitCode = status ?? 1;
}
