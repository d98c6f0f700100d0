import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemRandom } from "../../src/crypto/random.ts";
import { createMasterKeyFile } from "../../src/kek/local/master-key-file.ts";
import { initKeystead, openKeystead } from "../../src/keystead.ts";
import { mapSqliteError } from "../../src/store/sqlite/sqlite-errors.ts";
import { day } from "../support/test-clock.ts";
import { createTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

/** The message that work fails with. */
async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "",
    (error: unknown) => (error instanceof Error ? error.message : ""),
  );
}

describe("an error names a remedy that there is", () => {
  it("for the current version that is suspended, deactivated or compromised", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.suspend("k", 1);
    expect(await messageOf(keystead.encrypt("k", "x"))).toContain("`keystead keys resume k 1`, or `keystead keys rotate k`");
    await keystead.keys.deactivate("k", 1);
    expect(await messageOf(keystead.encrypt("k", "x"))).toMatch(/nothing new; run `keystead keys rotate k`$/);
    await keystead.keys.compromise("k", 1);
    expect(await messageOf(keystead.encrypt("k", "x"))).toMatch(/nothing new; run `keystead keys rotate k`$/);
  });

  it("for a version whose destruction is pending", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k");
    await keystead.keys.destroy("k", 1);
    for (const act of ["resume", "suspend", "activate"] as const) {
      expect(await messageOf(keystead.keys[act]("k", 1))).toMatch(/; run `keystead keys cancel-destroy` first$/);
    }
    await keystead.keys.cancelDestroy("k", 1);
    expect((await keystead.keys.show("k")).versions[0]?.state).toBe("deactivated");
  });

  it("for seals outside datasets", async () => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.encrypt("k", "x");
    await keystead.keys.rotate("k");
    const message = await messageOf(keystead.keys.destroy("k", 1));
    expect(message).toContain("the version is kept; registering their table now does not change that");
  });

  it("for a store that is locked or can't be written", () => {
    expect(mapSqliteError({ errcode: 5 }).message).not.toContain("busyTimeout");
    expect(mapSqliteError({ errcode: 8 }).message).not.toContain("read-only");
  });

  it("for a master key file that is gone", async () => {
    const file = join(temporaryFolder(), "gone.key");
    const store = `sqlite:${join(temporaryFolder(), "keystead.db")}`;
    const kept = join(temporaryFolder(), "kept.key");
    await createMasterKeyFile(kept, "main", systemRandom);
    await (await initKeystead({ store, masterKeyFile: kept })).close();
    expect(await messageOf(openKeystead({ store, masterKeyFile: file }))).toContain("restore the file from its copy");
  });
});

describe("doctor", () => {
  it.each(["suspend", "deactivate", "compromise"] as const)("fails a key that seals nothing after %s", async (act) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys[act]("k", 1);
    const findings = (await keystead.doctor.examine()).filter(({ check }) => check === "keys");
    expect(findings).toMatchObject([{ status: "failed" }]);
    await keystead.keys.rotate("k", { expiresAt: new Date(Date.UTC(2030, 0, 1) + day) });
    expect((await keystead.doctor.examine()).every(({ status }) => status === "good")).toBe(true);
  });
});
