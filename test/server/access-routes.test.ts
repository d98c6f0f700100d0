import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { verifyAuditExport } from "../../src/index.ts";
import { entityTag } from "../../src/keys/entity-tag.ts";
import { registerSecret } from "../setup/canary.ts";
import { codeOf } from "../support/test-keystead.ts";
import { callerNamed, clientsOf, serveEngine } from "./support/served-engine.ts";

const callers = {
  anna: callerNamed("anna", "admin"),
  berta: callerNamed("berta", "admin"),
  carl: { ...callerNamed("carl", "encryptor"), scope: { keys: ["acme/*"] } },
} as const;

describe("access by HTTP", () => {
  it("with If-Match: * is for what is there already", async () => {
    const { keystead, server } = await serveEngine(callers);
    const patch = async (principal: string, ifMatch: string): Promise<number> => {
      const headers = { authorization: "Bearer anna", "if-match": ifMatch };
      const url = `/v1/principals/${encodeURIComponent(principal)}`;
      return (await server.inject({ method: "PATCH", url, headers, payload: { roles: ["auditor"] } })).statusCode;
    };
    await keystead.principals.set("os-user:known", { roles: [] });
    expect(await patch("os-user:new", "*")).toBe(412);
    expect(await patch("os-user:known", '"*"')).toBe(412);
    expect(await keystead.principals.list()).toMatchObject([{ subject: "os-user:known", roles: [] }]);
    expect(await patch("os-user:known", " * ")).toBe(200);
    expect(await keystead.principals.list()).toMatchObject([{ subject: "os-user:known", roles: ["auditor"] }]);
  });

  it("is as the embedded services have it: policies", async () => {
    const served = await serveEngine(callers);
    const anna = (await clientsOf(served))("anna");
    const input = { effect: "allow", subject: "role:payroll", actions: ["data.encrypt"], notAfter: "2099-01-01T00:00:00.000Z" } as const;
    const made = await anna.policies.create(input);
    expect(made).toEqual((await served.keystead.policies.list())[0]);
    expect(await anna.policies.show(made.id)).toEqual(made);
    const changed = await anna.policies.set(made.id, { ...input, keys: ["payroll/**"] }, { ifMatch: entityTag(made) });
    expect(changed).toMatchObject({ keys: ["payroll/**"] });
    expect(await codeOf(anna.policies.set(made.id, input, { ifMatch: entityTag(made) }))).toBe("PRECONDITION_FAILED");
    expect((await anna.policies.roles()).find(({ name }) => name === "payroll")?.policies).toEqual([made.id]);
    const question = { key: "payroll/iban", also: ["role:payroll"] };
    expect(await anna.policies.explain("oidc:main:x", "data.encrypt", question)).toMatchObject({ outcome: "allow", policy: made.id });
    await anna.policies.remove(made.id);
    expect(await anna.policies.list()).toEqual([]);
    expect(await codeOf(anna.policies.show(made.id))).toBe("UNKNOWN_POLICY");
  });

  it("is as the embedded services have it: principals and tokens", async () => {
    const served = await serveEngine(callers);
    const anna = (await clientsOf(served))("anna");
    const claim = "claim:realm_access.roles=a/b c";
    const set = await anna.principals.set(claim, { roles: ["auditor"] });
    expect(await anna.principals.show(claim)).toEqual(set);
    expect(await anna.principals.list()).toEqual(await served.keystead.principals.list());
    await anna.principals.remove(claim, { ifMatch: entityTag(set) });
    expect(await anna.principals.list()).toEqual([]);
    const { token, ...info } = await anna.tokens.create({
      name: "import",
      roles: ["admin"],
      expiresAt: new Date(served.keystead.store.createdAt + 60_000),
    });
    registerSecret(token);
    expect(await anna.tokens.list()).toEqual([info]);
    expect(await codeOf(anna.tokens.create({ name: "more", roles: ["decryptor"] }))).toBe("ACCESS_DENIED");
    expect(await anna.tokens.revoke(info.id)).toMatchObject({ state: "revoked" });
  });

  it("lets a second person decide", async () => {
    const served = await serveEngine(callers);
    const clientOf = await clientsOf(served);
    await served.keystead.policies.create({ effect: "approve", subject: "*", actions: ["settings.set"] });
    const change = (): Promise<unknown> => clientOf("anna").settings.set("refreshBound", 500);
    expect(await codeOf(change())).toBe("APPROVAL_REQUIRED");
    const [waiting] = await clientOf("berta").approvals.list({ state: "pending" });
    expect(await codeOf(clientOf("anna").approvals.approve(waiting?.id ?? ""))).toBe("ACCESS_DENIED");
    expect(await clientOf("berta").approvals.approve(waiting?.id ?? "", { reason: "agreed" })).toMatchObject({ state: "approved" });
    expect(await change()).toMatchObject({ refreshBound: 500 });
    expect(await clientOf("anna").approvals.show(waiting?.id ?? "")).toMatchObject({ state: "used", decisionReason: "agreed" });
  });

  it("tells everybody who it is, whatever its scope is, unless a policy denies it", async () => {
    const served = await serveEngine(callers);
    const carl = (await clientsOf(served))("carl");
    expect(await carl.whoami()).toEqual({ principal: "oidc:main:carl", roles: ["encryptor"], scope: { keys: ["acme/*"] } });
    await served.keystead.policies.create({ effect: "deny", subject: "role:encryptor", actions: ["access.*"] });
    expect(await codeOf(carl.whoami())).toBe("ACCESS_DENIED");
  });

  it("examines, and leaves one record", async () => {
    const served = await serveEngine(callers);
    const anna = (await clientsOf(served))("anna");
    const findings = await anna.doctor.examine();
    expect(findings).toContainEqual({ check: "keys", status: "good", message: "nothing to report" });
    const { records } = await served.keystead.audit.page({ principal: "oidc:main:anna" });
    expect(records).toMatchObject([{ action: "doctor.examine", outcome: "allowed" }]);
  });
});

describe("a body where no field is allowed", () => {
  it.each(["[]", "[1]", '"x"', "0", "null", '{"x":1}'])("is refused when it is %s", async (payload) => {
    const { server } = await serveEngine(callers);
    const headers = { authorization: "Bearer anna", "content-type": "application/json" };
    const answer = await server.inject({ method: "POST", url: "/v1/doctor", headers, payload });
    expect(answer.json()).toMatchObject({ status: 400, code: "INVALID_ARGUMENT" });
  });
});

describe("an export by HTTP", () => {
  it("is the export, byte for byte, and verifies", async () => {
    const served = await serveEngine(callers);
    const anna = (await clientsOf(served))("anna");
    await served.keystead.keys.create({ name: "k", purpose: "pii" });
    for (let index = 0; index < 2_000; index++)
      await served.keystead.audit.trail.record({
        action: "test.fill",
        outcome: "allowed",
        principal: { source: "embedded", id: "x".repeat(100) },
      });
    const chunks: Buffer[] = [];
    const summary = await anna.audit.export({}, (chunk) => void chunks.push(chunk));
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBeGreaterThan(500_000);
    const report = await verifyAuditExport(Readable.from([bytes]));
    expect(report).toMatchObject({ findings: [], records: summary.records, checkpoints: summary.checkpoints });
    expect(report).toMatchObject({ closing: summary.closing });
    const { records } = await served.keystead.audit.page({ action: "audit.export" });
    expect(records).toMatchObject([{ outcome: "allowed", principal: { id: "main:anna" } }]);
  });

  it("is refused as anything else is", async () => {
    const served = await serveEngine(callers);
    const clientOf = await clientsOf(served);
    expect(await codeOf(clientOf("carl").audit.export({}, () => undefined))).toBe("ACCESS_DENIED");
  });

  it("stops when its taker stops, and says so in the audit", async () => {
    const served = await serveEngine(callers);
    const anna = (await clientsOf(served))("anna");
    const stop = new Error("full");
    const filler = {
      detail: { text: "x".repeat(4_000) },
      action: "test.fill",
      outcome: "allowed",
      principal: { source: "embedded", id: "x".repeat(250) },
    } as const;
    await Promise.all(Array.from({ length: 8_000 }, () => served.keystead.audit.trail.record(filler)));
    await expect(anna.audit.export({}, () => Promise.reject(stop))).rejects.toBe(stop);
    await expect
      .poll(async () => (await served.keystead.audit.page({ action: "audit.export", limit: 1 })).records, { timeout: 20_000 })
      .toMatchObject([{ outcome: "failed", code: "CANCELLED" }]);
  });
});

describe("the document of routes", () => {
  it("is served to everybody, and leaves no record", async () => {
    const { server, keystead } = await serveEngine(callers);
    const answer = await server.inject({ url: "/openapi.json" });
    expect(answer.headers["content-type"]).toContain("application/json");
    const document: unknown = answer.json();
    expect(document).toHaveProperty(["paths", "/v1/encrypt", "post"]);
    expect(document).toHaveProperty(["paths", "/readyz", "get"]);
    expect(document).toHaveProperty(["paths", "/openapi.json", "get"]);
    expect((await keystead.audit.page({ failed: false })).records.filter(({ request }) => request !== undefined)).toEqual([]);
  });
});
