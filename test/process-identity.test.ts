import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { identifyProcess, isSameProcess, onSameMachine, processStatus } from "../src/process-identity.ts";

const own = identifyProcess("here");
const linux = process.platform === "linux";

describe("processStatus", () => {
  it.runIf(linux)("finds this process running", () => {
    expect(own.start).toMatch(/^[0-9a-f-]{36}\/\d+$/);
    expect(own.namespace).toMatch(/^pid:\[\d+\]$/);
    expect(processStatus(own, own)).toBe("running");
  });

  it.runIf(linux)("tells a process from a later one that got its number", () => {
    expect(processStatus({ ...own, start: own.start?.replace(/\d+$/, "1") }, own)).toBe("gone");
  });

  it.runIf(linux).each([
    ["of another boot", { start: own.start?.replace(/^./, "x") }],
    ["of another container", { namespace: "pid:[1]" }],
    ["of a system that does not say when it started", { start: undefined, namespace: undefined }],
    ["of a container that does not say which it is", { namespace: undefined }],
  ])("can't look for a process %s, whatever its host is called", (_, changes) => {
    expect(processStatus({ ...own, ...changes }, own)).toBe("unknown");
    expect(processStatus({ ...own, process: 2 ** 22 + 1, ...changes }, own)).toBe("unknown");
  });

  it.runIf(linux)("does not ask for the name of the host where it knows better", () => {
    expect(processStatus(identifyProcess("there"), own)).toBe("running");
    expect(processStatus({ ...own, host: "there", process: 2 ** 22 + 1 }, own)).toBe("gone");
  });

  it("goes by host and number where the system does not say more", () => {
    const bare = { host: "here", process: process.pid, start: undefined, namespace: undefined };
    expect(processStatus({ ...bare, process: 2 ** 22 + 1 }, bare)).toBe("gone");
    expect(processStatus({ ...bare, host: "there", process: 2 ** 22 + 1 }, bare)).toBe("unknown");
  });

  it("finds a process gone once it has ended, also while nobody has asked for its exit code", async () => {
    const child = spawn("sh", ["-c", "sleep 60 & pid=$!; echo $pid; read _; kill -9 $pid; echo killed; read _"], { stdio: "pipe" });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const { pid, start } = await readOwnStart(Number(String(line)));
    const identity = { ...own, process: pid, start };
    expect(processStatus(identity, own)).toBe(linux ? "running" : "unknown");
    child.stdin.write("\n");
    await once(child.stdout, "data");
    // The signal is sent; the system ends the process when it gets to it.
    await expect.poll(() => processStatus(identity, own), { timeout: 5000 }).toBe("gone");
    child.stdin.end("\n");
    await once(child, "close");
    expect(processStatus(identity, own)).toBe("gone");
  });

  it("never takes a group of processes for one", () => {
    expect(processStatus({ ...own, process: 0 }, own)).toBe("gone");
    expect(processStatus({ ...own, process: -process.pid }, own)).toBe("gone");
  });
});

describe("identities", () => {
  it("are of one machine when they have one boot; where nobody knows, when they have one host name", () => {
    expect(onSameMachine({ ...own, host: "there", namespace: "pid:[1]" }, own)).toBe(linux);
    expect(onSameMachine({ ...own, start: "other/1" }, own)).toBe(false);
    const bare = { ...own, start: undefined, namespace: undefined };
    expect(onSameMachine(bare, own)).toBe(!linux);
    expect(onSameMachine(bare, { ...bare, process: 1 })).toBe(true);
    expect(onSameMachine(bare, { ...bare, host: "there" })).toBe(false);
  });

  it.runIf(linux)("are the same process only with number, start and namespace", () => {
    expect(isSameProcess(identifyProcess("there"), own)).toBe(true);
    for (const changes of [{ process: 1 }, { start: `${String(own.start)}0` }, { namespace: "pid:[1]" }]) {
      expect(isSameProcess({ ...own, ...changes }, own)).toBe(false);
    }
  });
});

/** The start of another process, as that process would say it. */
async function readOwnStart(pid: number): Promise<{ pid: number; start: string | undefined }> {
  if (!linux) return { pid, start: undefined };
  const stat = await readFile(`/proc/${pid}/stat`, "latin1");
  return { pid, start: `${own.start?.split("/")[0]}/${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}` };
}
