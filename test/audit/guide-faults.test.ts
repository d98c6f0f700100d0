import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { verifyAuditFiles } from "../../src/audit/export/verify-files.ts";
import { reportAuditFiles } from "../../src/audit/report-files.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { codeOf, fileStore, temporaryFolder } from "../support/test-keystead.ts";

/** A store whose audit goes to a file, too. */
async function withFile(folder: string, path = join(folder, "audit.jsonl")): Promise<{ keystead: Keystead; path: string }> {
  const keystead = await initKeystead({ ...fileStore(folder), audit: { sinks: [{ type: "file", path, maxBytes: 3000 }] } });
  return { keystead, path };
}

describe("the audit of the guide went wrong where", () => {
  it("29: a second auditor was ignored, and any library's log line went into the file", async () => {
    const [one, two] = [await withFile(temporaryFolder()), await withFile(temporaryFolder())];
    process.emitWarning("from a library");
    await one.keystead.keys.create({ name: "first", purpose: "pii" });
    await two.keystead.keys.create({ name: "second", purpose: "pii" });
    await Promise.all([one.keystead.close(), two.keystead.close()]);
    expect((await reportAuditFiles([one.path])).byKey.map(({ name }) => name)).toContain("first");
    expect((await reportAuditFiles([two.path])).byKey.map(({ name }) => name)).toContain("second");
    expect(await readFile(one.path, "utf8")).not.toMatch(/second|library/);
  });

  it("30: one foreign line, or a value that looked like a separator, made the report fail", async () => {
    const { keystead, path } = await withFile(temporaryFolder());
    await keystead.keys.create({ name: "pii-email", purpose: "pii" });
    await keystead.keys.rotate("pii-email", { reason: 'yearly - by " - " and {"json":1}' }).catch(() => keystead.keys.rotate("pii-email"));
    await keystead.close();
    const good = await reportAuditFiles([path]);
    await writeFile(path, `${await readFile(path, "utf8")}2027-01-01 INFO root - some - library\n{"half":\n`);
    expect(await reportAuditFiles([path])).toEqual({ ...good, badLines: 2 });
  });

  it("31: a report of a file that nothing was written to raised", async () => {
    const missing = join(temporaryFolder(), "none.jsonl");
    expect(await reportAuditFiles([missing])).toEqual({
      records: 0,
      byAction: [],
      byKey: [],
      byPrincipal: [],
      byOutcome: [],
      principals: 0,
      badLines: 0,
      missing: [missing],
    });
  });

  it("32: bounds with a time zone were refused", async () => {
    const { keystead, path } = await withFile(temporaryFolder());
    await keystead.close();
    const day = 86_400_000;
    const all = await reportAuditFiles([path]);
    expect(
      await reportAuditFiles([path], { from: new Date(Date.now() - 400 * 365 * day), to: new Date("2999-01-01T00:00:00+05:30") }),
    ).toEqual(all);
    expect((await reportAuditFiles([path], { from: new Date("2999-01-01T00:00:00-11:00") })).records).toBe(0);
    for (const line of (await readFile(path, "utf8")).split("\n").filter((text) => text.startsWith('{"sequence"'))) {
      expect(line).toMatch(/"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/);
    }
  });

  it("33: a record did not say outcome, reason, request and version", async () => {
    const { keystead, path } = await withFile(temporaryFolder());
    await keystead.audit.trail.record({
      action: "data.decrypt",
      outcome: "denied",
      principal: { source: "oidc", id: "main:7f3a" },
      request: { id: "r1", address: "::1" },
      key: "pii-email",
      version: "1-abcdef",
      reason: "support case 7",
      code: "ACCESS_DENIED",
    });
    await keystead.close();
    const line = (await readFile(path, "utf8")).split("\n").find((text) => text.includes("data.decrypt")) ?? "{}";
    expect(JSON.parse(line)).toMatchObject({
      outcome: "denied",
      principal: { source: "oidc", id: "main:7f3a" },
      request: { id: "r1", address: "::1" },
      version: "1-abcdef",
      reason: "support case 7",
      code: "ACCESS_DENIED",
    });
  });

  it("34: tampering was not seen, others could read the file, and it grew for ever", async () => {
    const folder = temporaryFolder();
    const { keystead, path } = await withFile(folder);
    for (let index = 0; index < 8; index++) await keystead.keys.create({ name: `key-${String(index)}`, purpose: "pii" });
    await keystead.close();
    const names = (await readdir(folder)).filter((name) => name.startsWith("audit.jsonl.")).sort();
    expect(names.length).toBeGreaterThan(0);
    const files = [...names.map((name) => join(folder, name)), path];
    for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const verify = async () => await verifyAuditFiles(files.map((name) => ({ name, bytes: createReadStream(name) })));
    expect((await verify()).findings).toEqual([]);
    await writeFile(files[0] ?? "", (await readFile(files[0] ?? "", "utf8")).replace("key-0", "key-9"));
    expect((await verify()).findings[0]).toMatchObject({ kind: "record", problem: "was altered" });
  });

  it("35: users came in no order, and nothing was counted by key", async () => {
    const { keystead } = await withFile(temporaryFolder());
    for (const id of ["zoe", "anna", "mia"]) {
      await keystead.audit.trail.record({
        action: "data.encrypt",
        outcome: "allowed",
        principal: { source: "os-user", id },
        key: `k-${id}`,
      });
    }
    const { byPrincipal, byKey } = await keystead.audit.report();
    expect(byPrincipal.map(({ name }) => name).filter((name) => name.startsWith("os-user"))).toEqual([
      "os-user:anna",
      "os-user:mia",
      "os-user:zoe",
    ]);
    expect(byKey.map(({ name }) => name)).toEqual(["k-anna", "k-mia", "k-zoe"]);
    await keystead.close();
  });

  it("36: nothing had to call the auditor, and a failing one stopped nobody", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "sink", "audit.jsonl");
    expect(await codeOf(withFile(folder, path))).toBe("AUDIT_UNAVAILABLE");
    await mkdir(join(folder, "sink"));
    const { keystead } = await withFile(temporaryFolder(), path);
    await keystead.keys.create({ name: "pii-email", purpose: "pii" });
    await rm(join(folder, "sink"), { recursive: true });
    expect(await codeOf(keystead.keys.rotate("pii-email"))).toBe("AUDIT_UNAVAILABLE");
    expect(keystead.audit.problems).toMatchObject([{ where: `file:${path}`, cause: { code: "ENOENT" } }]);
    expect(await codeOf(keystead.close())).toBe("AUDIT_UNAVAILABLE");
  });
});
