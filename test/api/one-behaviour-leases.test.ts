import { expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";
import { outcome } from "./support/outcome.ts";

everywhere("leases", (openPlace) => {
  it("gives keys of a prefix to seal and to open, for a while", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    await api.purposes.set("pii", { defaultKey: "k" });
    const lease = await api.leases.seal({ purpose: "pii" });
    const label = (await api.keys.show("k")).versions[0]?.label;
    expect(lease).toMatchObject({ key: "k", label, messages: 2 ** 20, bytes: 2 ** 36 });
    expect([lease.prefix, lease.aesKey].map((bytes) => [Buffer.isBuffer(bytes), bytes.length])).toEqual([
      [true, 12],
      [true, 32],
    ]);
    expect(await codeOf(api.leases.seal("m"))).toBe("KEY_USAGE");
    expect(await codeOf(api.leases.seal("unknown"))).toBe("UNKNOWN_KEY");
    expect(await codeOf(api.leases.seal("k", { dataset: "unknown" }))).toBe("UNKNOWN_DATASET");
    const { messages: _, bytes: __, ...leased } = lease;
    const { key, prefix } = leased;
    const opened = await api.leases.open({ key, label: lease.label, prefix });
    expect(opened).toEqual({ ...leased, lifetime: opened.lifetime });
    expect(await codeOf(api.leases.open({ key, label: lease.label, prefix: Buffer.alloc(12) }))).toBe("UNKNOWN_LEASE");
    const shown = await api.leases.show(lease.id);
    expect(shown).toMatchObject({ id: lease.id, key: "k", version: label, state: "in force", messages: 2 ** 20 });
    expect(await api.leases.list()).toEqual([shown]);
    expect(await api.leases.list({ key: "m" })).toEqual([]);
  });

  it("renews leases, takes them back and revokes them", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    const first = await api.leases.seal("k");
    const second = await api.leases.seal("k");
    const checks = [first, second].map(({ id }) => ({ id, use: "seal" as const }));
    const unknown = { id: "unknown", use: "open" } as const;
    const renewed = await api.leases.renew([...checks, unknown]);
    expect(renewed.map(outcome)).toEqual(["ok", "ok", "UNKNOWN_LEASE"]);
    expect(renewed[0]).toEqual({ id: first.id });
    expect(await api.leases.renew([])).toEqual([]);
    expect(await codeOf(api.leases.renew(Array.from({ length: 1001 }, () => unknown)))).toBe("TOO_LARGE");
    await api.leases.release(first.id, 5);
    expect(await api.leases.show(first.id)).toMatchObject({ state: "released", messages: 5 });
    expect(await codeOf(api.leases.release(first.id, -1))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.leases.release("unknown", 5))).toBe("UNKNOWN_LEASE");
    const revoked = await api.leases.revoke(second.id, { reason: "laptop lost" });
    expect(revoked).toMatchObject({ id: second.id, state: "revoked" });
    expect(await api.leases.show(second.id)).toEqual(revoked);
    expect(await codeOf(api.leases.revoke(second.id, { reason: "a\ud800" }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.leases.revoke("unknown"))).toBe("UNKNOWN_LEASE");
    expect(await codeOf(api.leases.show("unknown"))).toBe("UNKNOWN_LEASE");
    expect((await api.leases.renew(checks)).map(outcome)).toEqual(["UNKNOWN_LEASE", "UNKNOWN_LEASE"]);
    const { key, label, prefix } = second;
    expect(await codeOf(api.leases.open({ key, label, prefix }))).toBe("UNKNOWN_LEASE");
    expect(await api.leases.list({ key: "k" })).toEqual([]);
    expect(await api.keys.usage("k", 1)).toMatchObject({ sealsOutsideDatasets: 5 + 2 ** 20 });
  });
});
