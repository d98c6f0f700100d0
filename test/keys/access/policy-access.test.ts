import { expect, it, vi } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import { PolicyAccess } from "../../../src/keys/access/policy-access.ts";
import type { StoreTables } from "../../../src/store/store.ts";
import { newStore } from "../../audit/support/audit-store.ts";
import { codeOf } from "../../support/test-keystead.ts";
import { TestClock } from "../../support/test-clock.ts";

const anna: Caller = { principal: { source: "oidc", id: "main:anna" } };

/** A policy about keys of a purpose, as a row. */
function row(id: string, effect: "allow" | "deny") {
  const texts = { subject: "oidc:main:anna", actions: '["data.encrypt"]', scope: '{"purposes":["pii"]}', description: "" };
  return { id, effect, ...texts, createdAt: 0, createdBy: "", updatedAt: 0, updatedBy: "" };
}

it("a decision that waited for the store does not outlive a change that came meanwhile", async () => {
  const store = await newStore();
  await store.transaction(async (tables) => {
    await tables.policies.insert(row("1", "allow"));
    const facts = { id: "k", name: "k", purpose: "pii", usages: "encrypt", algorithm: "XAES-256-GCM", tags: "{}" };
    await tables.keys.insert({ ...facts, rotationDays: null, currentVersion: null, createdAt: 0 });
  });
  const late: (() => void)[] = [];
  const slow = {
    revision: () => store.revision(),
    read: async <T>(work: (tables: StoreTables) => Promise<T>): Promise<T> => {
      const asked = { ofKeys: false };
      const result = await store.read((tables: StoreTables) =>
        work({
          ...tables,
          get keys() {
            asked.ofKeys = true;
            return tables.keys;
          },
        }),
      );
      if (asked.ofKeys) await new Promise<void>((resolve) => late.push(resolve));
      return result;
    },
  };
  const access = new PolicyAccess({ store: slow, clock: new TestClock() });
  const waiting = codeOf(async () => access.authorize(anna, "data.encrypt", { key: "k" }));
  await vi.waitUntil(() => late.length === 1);
  await store.transaction((tables) => tables.policies.insert(row("2", "deny")));
  await access.refresh();
  late.pop()?.();
  expect(await waiting).toBe("ACCESS_DENIED");
  expect(await codeOf(async () => access.authorize(anna, "data.encrypt", { key: "k" }))).toBe("ACCESS_DENIED");
  await store.close();
});
