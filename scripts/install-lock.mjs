// One installation at a time in one working tree. The lock is a file that names the processes that work under it; it is stale
// when all of them are gone, so a killed installation never blocks the next one.
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

/** No installation takes longer: beyond this age the processes that the file names are others with recycled numbers. */
const oldestLockMilliseconds = 30 * 60_000;
const pollMilliseconds = 200;

function ignoring(code, action) {
  try {
    return action();
  } catch (error) {
    if (error.code !== code) throw error;
    return undefined;
  }
}

/** Containers without an init process keep killed processes as zombies for ever, and signals still reach those. */
function isZombie(pid) {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return error.code === "EPERM";
  }
}

function isStale(file, text) {
  const age = ignoring("ENOENT", () => Date.now() - statSync(file).mtimeMs);
  if (age === undefined) return false;
  const [host, ...pids] = text.trim().split(/\s+/);
  if (age > oldestLockMilliseconds) return true;
  // A file without its processes was just created, or its writer died between creating and writing it.
  if (pids.length === 0) return age > 5000;
  return host === hostname() && !pids.some((pid) => isAlive(Number(pid)));
}

/** Removes a stale lock. Of several processes that try, one succeeds; a lock that is not the stale one any more is put back. */
function breakLock(file, text) {
  const aside = `${file}.${process.pid}`;
  if (ignoring("ENOENT", () => (renameSync(file, aside), true)) === undefined) return;
  if (readFileSync(aside, "utf8") !== text) ignoring("EEXIST", () => linkSync(aside, file));
  rmSync(aside, { force: true });
}

function tryLock(file, owners) {
  try {
    writeFileSync(file, owners, { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  }
}

/** Runs `work` while holding the lock file; `work` gets a way to name further processes (its children) as holders. */
export async function withInstallLock(file, say, work) {
  const owners = [hostname(), process.pid];
  const line = () => `${owners.join(" ")}\n`;
  let announced = false;
  while (!tryLock(file, line())) {
    const text = ignoring("ENOENT", () => readFileSync(file, "utf8"));
    if (text === undefined) continue;
    if (isStale(file, text)) {
      breakLock(file, text);
      continue;
    }
    if (!announced) say("waiting for another command that installs dependencies");
    announced = true;
    await delay(pollMilliseconds);
  }
  const release = () => rmSync(file, { force: true });
  process.once("exit", release);
  try {
    const addOwner = (pid) => {
      owners.push(pid);
      writeFileSync(file, line());
    };
    await work({ addOwner });
  } finally {
    process.off("exit", release);
    release();
  }
}
