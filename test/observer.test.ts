import { describe, expect, it } from "vitest";
import { type Observer, observers } from "../src/observer.ts";

/** An observer that writes down what it hears, and in which order. */
function listener(name: string, heard: string[]): Required<Observer> {
  const around = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    heard.push(`${name} ${what} {`);
    try {
      return await work();
    } finally {
      heard.push(`} ${name}`);
    }
  };
  return {
    act: (action, work) => around(action, work),
    request: ({ method }, work) => around(method, work),
    kekCall: (operation, work) => around(operation, work),
    actEnded: (action, outcome, milliseconds) => heard.push(`${name} ${action} ${outcome} ${String(milliseconds)}`),
    items: (action) => heard.push(`${name} ${action} items`),
    jobRows: ({ kind }) => heard.push(`${name} ${kind} rows`),
    requestBegan: () => heard.push(`${name} began`),
    requestEnded: ({ status }, milliseconds) => heard.push(`${name} ended ${String(status)} ${String(milliseconds)}`),
  };
}

const rows = { kind: "reencrypt", source: "sqlite", read: 1, replaced: 1, changed: 0, problems: 0 };
const request = { method: "GET", route: "none", status: () => 200, trace: {} };
const done = async (): Promise<void> => undefined;

describe("several observers", () => {
  it("are one: each hears everything, the first is outermost", async () => {
    const heard: string[] = [];
    const all = observers([listener("a", heard), listener("b", heard)]);
    await all.act?.("data.encrypt", done);
    await all.request?.(request, done);
    await all.kekCall("wrap", done);
    expect(heard.splice(0)).toEqual(["data.encrypt", "GET", "wrap"].flatMap((what) => [`a ${what} {`, `b ${what} {`, "} b", "} a"]));
    all.actEnded("data.encrypt", "denied", 5);
    all.items("data.encrypt", { allowed: 1, denied: 0, failed: 0 });
    all.jobRows(rows);
    all.requestBegan();
    all.requestEnded({ method: "GET", route: "/v1/keys", status: 200 }, 7);
    const told = ["data.encrypt denied 5", "data.encrypt items", "reencrypt rows", "began", "ended 200 7"];
    expect(heard).toEqual(told.flatMap((what) => [`a ${what}`, `b ${what}`]));
  });

  it("run acts and requests only where one of them does", async () => {
    const heard: string[] = [];
    const { act: _act, request: _request, ...hearing } = listener("a", heard);
    const quiet = observers([hearing, {}]);
    expect([quiet.act, quiet.request]).toEqual([undefined, undefined]);
    const mixed = observers([hearing, listener("b", heard), {}]);
    await mixed.act?.("data.encrypt", done);
    await mixed.request?.(request, done);
    expect(heard).toEqual(["b data.encrypt {", "} b", "b GET {", "} b"]);
  });

  it("of nobody cost nothing", async () => {
    const nobody = observers([]);
    nobody.requestBegan();
    nobody.actEnded("data.encrypt", "allowed", 1);
    expect(await nobody.kekCall("open", async () => 3)).toBe(3);
  });
});
