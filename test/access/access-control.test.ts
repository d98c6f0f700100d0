import { execFileSync } from "node:child_process";
import { userInfo } from "node:os";
import { describe, expect, it } from "vitest";
import { allowAll, isPrincipal } from "../../src/access/access-control.ts";
import { osUser } from "../../src/access/os-user.ts";
import { embeddedPrincipal, type Principal } from "../../src/access/principal.ts";

describe("allowAll", () => {
  it.each<Principal>([
    embeddedPrincipal,
    { source: "os-user", id: "anna" },
    { source: "oidc", id: "main:7f3a", name: "anna" },
    { source: "engine", id: "keystead", actingFor: "os-user:anna" },
    { source: "embedded", id: "Ωμέγα 秘密 😀" },
    { source: "embedded", id: "x".repeat(255) },
  ])("lets %j do everything", (principal) => {
    expect(() => allowAll.authorize({ principal }, "keys.destroy", { key: "pii-email" })).not.toThrow();
  });

  it.each<[string, unknown]>([
    ["nobody", undefined],
    ["null", null],
    ["text", "anna"],
    ["no source", { id: "anna" }],
    ["no id", { source: "embedded" }],
    ["an unknown source", { source: "root", id: "anna" }],
    ["a source by inheritance", { source: "constructor", id: "anna" }],
    ["an empty id", { source: "embedded", id: "" }],
    ["a long id", { source: "embedded", id: "x".repeat(256) }],
    ["a number as id", { source: "embedded", id: 7 }],
    ["a newline", { source: "embedded", id: "anna\nroot" }],
    ["a line separator", { source: "embedded", id: "anna\u2028root" }],
    ["a lone surrogate", { source: "embedded", id: "anna\ud800" }],
    ["somebody else acting for another", { source: "embedded", id: "anna", actingFor: "root" }],
    ["a name of many lines", { source: "oidc", id: "main:anna", name: "anna\nroot" }],
    ["a malformed other", { source: "engine", id: "keystead", actingFor: "" }],
  ])("refuses %s", (_, principal) => {
    expect(isPrincipal(principal)).toBe(false);
    expect(() => allowAll.authorize({ principal: principal as Principal }, "keys.list", {})).toThrow(
      expect.objectContaining({ code: "ACCESS_DENIED" }),
    );
  });
});

describe("osUser", () => {
  it("is who the operating system says, with the primary group", () => {
    const { principal, groups } = osUser();
    expect(principal).toEqual({ source: "os-user", id: userInfo().username });
    expect(isPrincipal(principal)).toBe(true);
    const ids = execFileSync("id", ["-G"], { encoding: "utf8" }).trim().split(" ").map(Number);
    expect(groups).toEqual([...new Set(ids)].sort((a, b) => a - b));
  });

  it.runIf(process.getuid?.() === 0)("is a number for a user without a name", () => {
    const script = `import { osUser } from ${JSON.stringify(new URL("../../src/access/os-user.ts", import.meta.url).href)};
      process.setgroups([]); process.setgid(54321); process.setuid(54321); console.log(JSON.stringify(osUser()));`;
    const output = execFileSync(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module-typescript", "-e", script],
      { encoding: "utf8" },
    );
    expect(JSON.parse(output)).toEqual({ principal: { source: "os-user", id: "54321" }, groups: [54321] });
  });
});
