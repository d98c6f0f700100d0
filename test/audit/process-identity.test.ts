import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { identifyProcess, processStatus } from "../../src/audit/process-identity.ts";

describe("processStatus", () => {
  it("finds this process running", () => {
    expect(processStatus(identifyProcess("here"), "here")).toBe("running");
    expect(processStatus({ ...identifyProcess("here"), start: undefined }, "here")).toBe("running");
  });

  it("can't look at another host", () => {
    expect(processStatus(identifyProcess("there"), "here")).toBe("elsewhere");
  });

  it.runIf(process.platform === "linux")("tells a process from a later one that got its number", () => {
    const { start = "" } = identifyProcess("here");
    expect(start).toMatch(/^[0-9a-f-]{36}\/\d+$/);
    expect(processStatus({ ...identifyProcess("here"), start: start.replace(/\d+$/, "1") }, "here")).toBe("gone");
    expect(processStatus({ ...identifyProcess("here"), start: start.replace(/^./, "x") }, "here")).toBe("gone");
  });

  it("finds a process gone once it has ended", async () => {
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "ignore"] });
    await once(child, "spawn");
    const identity = { host: "here", process: child.pid ?? 0, start: undefined };
    expect(processStatus(identity, "here")).toBe("running");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(processStatus(identity, "here")).toBe("gone");
  });

  it("never takes a group of processes for one", () => {
    expect(processStatus({ host: "here", process: 0, start: undefined }, "here")).toBe("gone");
  });
});
