import { describe, expect, it } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";
import { registerSecret } from "../../setup/canary.ts";

describe("tokens", () => {
  it("speak for themselves until they are revoked", async () => {
    const { keystead } = await createTestKeystead();
    const { token, id, ...info } = await keystead.tokens.create({ name: "import", roles: ["encryptor"], scope: { keys: ["acme/**"] } });
    registerSecret(token);
    expect(info).toMatchObject({ name: "import", roles: ["encryptor"], state: "good", createdBy: "embedded:embedded" });
    const caller = (await keystead.tokens.authenticator.authenticate(token)) as Caller;
    expect(caller).toEqual({
      principal: { source: "token", id, name: "import" },
      roles: ["encryptor"],
      scope: { keys: ["acme/**"] },
    });
    expect(await keystead.tokens.authenticator.authenticate(token)).toBe(caller);
    await keystead.tokens.revoke(id);
    expect(() => keystead.tokens.authenticator.authenticate(token)).toThrow(expect.objectContaining({ code: "UNAUTHENTICATED" }));
    expect(await keystead.tokens.list()).toMatchObject([{ id, state: "revoked" }]);
    expect(JSON.stringify(await keystead.tokens.list())).not.toContain(token);
  });
});
