import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const version = "26.7.3";
const minJava = 17;

/** What of the system Keycloak needs and this machine lacks, with its remedy; undefined when nothing is missing. */
export function missingForKeycloak(): string | undefined {
  const { stderr, status } = spawnSync("java", ["-version"], { encoding: "utf8" });
  const java = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
  if (status !== 0 || java < minJava) return `Keycloak needs Java ${String(minJava)}: install Debian's package default-jre-headless`;
  if (spawnSync("mvn", ["--version"]).status !== 0) return "Keycloak comes by Maven: install Debian's package maven";
  return undefined;
}

/**
 * The folder of Keycloak's program, which Maven fetches from its registry the first time (180 MB). It is kept in the user's cache folder,
 * as it takes half a minute to make itself ready on its first start.
 */
export function keycloakHome(): string {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "keystead-test");
  const home = join(cache, `keycloak-${version}`);
  if (existsSync(home)) return home;
  mkdirSync(cache, { recursive: true });
  // Maven leaves marks where it stands; what is unpacked comes to its place in one step, also when another run does the same.
  const folder = mkdtempSync(join(cache, "unpacking-"));
  try {
    const artifact = `-Dartifact=org.keycloak:keycloak-quarkus-dist:${version}:zip`;
    const { status, stdout, stderr } = spawnSync("mvn", ["-q", "-B", "dependency:unpack", artifact, `-DoutputDirectory=${folder}`], {
      cwd: folder,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`Maven can't get Keycloak ${version}: ${stdout}${stderr}`);
    if (!existsSync(home)) renameSync(join(folder, `keycloak-${version}`), home);
    return home;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
