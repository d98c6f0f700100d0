import { Readable } from "node:stream";
import { expect, it } from "vitest";
import { type AuditFilter, verifyAuditExport } from "../../src/index.ts";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";

everywhere("audit", (openPlace) => {
  it("tells what was done, by whom, and that it holds", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.rotate("k", { reason: "yearly" });
    expect(await codeOf(api.keys.rotate("nobody"))).toBe("UNKNOWN_KEY");
    expect(await api.audit.show({ action: "keys.rotate" })).toMatchObject([
      { action: "keys.rotate", outcome: "allowed", key: "k", reason: "yearly" },
      { action: "keys.rotate", outcome: "failed", code: "UNKNOWN_KEY" },
    ]);
    const { records, next } = await api.audit.page({ limit: 1, key: "k" });
    expect(records).toHaveLength(1);
    expect(next === undefined ? [] : (await api.audit.page({ limit: 1, key: "k", after: next })).records).toHaveLength(1);
    expect((await api.audit.report()).byAction).toContainEqual({ name: "keys.rotate", count: 2 });
    const signers = await api.audit.signers();
    expect(signers).toMatchObject([{ current: true }]);
    expect(signers[0]?.signer).toMatch(/^keystead\/audit:1-/);
    expect(await codeOf(api.audit.page({ limit: 1001 }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.audit.show({ limit: 0 }))).toBe("INVALID_ARGUMENT");
    const never = new Date(Number.NaN);
    for (const call of [api.audit.page({ since: never }), api.audit.show({ until: never }), api.audit.report({ from: never })])
      expect(await codeOf(call)).toBe("INVALID_ARGUMENT");
    // Compilers of callers may take undefined for absent.
    const filter: AuditFilter = { action: "keys.create" };
    Reflect.set(filter, "key", undefined);
    expect(await api.audit.show(filter)).toHaveLength(1);
    expect(await codeOf(api.audit.verify({ pinnedKeys: [] }))).toBe("INVALID_ARGUMENT");
    expect((await api.audit.verify({ pinnedKeys: signers.map(({ publicKey }) => publicKey) })).findings).toEqual([]);
  });

  it("exports what it recorded, for somebody who does not have the store", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    const chunks: Buffer[] = [];
    const { writers, records, checkpoints, closing } = await api.audit.export({}, (chunk) => void chunks.push(chunk));
    expect(writers).toBe(1);
    const pinnedKeys = (await api.audit.signers()).map(({ publicKey }) => publicKey);
    const report = await verifyAuditExport(Readable.from(chunks), { pinnedKeys });
    expect(report).toMatchObject({ findings: [], records, checkpoints, closing });
    const lines = Buffer.concat(chunks).toString().split("\n");
    expect(lines.filter((line) => line.includes('"keys.create"'))).toHaveLength(1);
    const none = await api.audit.export({ since: new Date("2099-01-01T00:00:00.000Z") }, () => undefined);
    expect(none.records).toBe(0);
    expect(await codeOf(api.audit.export({ since: new Date(Number.NaN) }, () => undefined))).toBe("INVALID_ARGUMENT");
    const stop = new Error("full");
    await expect(api.audit.export({}, () => Promise.reject(stop))).rejects.toBe(stop);
  });

  it("counts what was done, and examines everything", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    expect(await codeOf(api.keys.show("nobody"))).toBe("UNKNOWN_KEY");
    const metrics = await api.metrics.read();
    expect(metrics).toMatch(/^keystead_\w+\{.*action="keys\.create".*\} 1$/m);
    const findings = await api.doctor.examine();
    expect(findings).toContainEqual({ check: "keys", status: "good", message: "nothing to report" });
    expect(findings.filter(({ status }) => status !== "good")).toEqual([]);
  });
});
