import { describe, expect, it } from "vitest";
import { actionNames } from "../../src/access/actions.ts";
import { decide, type Subjects } from "../../src/access/decide.ts";
import { matchesAction } from "../../src/access/patterns.ts";
import { builtInRoles, rolePolicies } from "../../src/access/roles.ts";

const noon = Date.UTC(2027, 0, 4, 12);
const everybody = "admin key-admin key-operator encryptor decryptor signer auditor";

function of(...names: readonly string[]): Subjects {
  return { names: new Set(names) };
}

/** Who may do what, by hand: a role that gets more than this has to be written here, too. */
const matrix: Readonly<Record<string, string>> = {
  "access.whoami": everybody,
  "approvals.approve": "admin",
  "approvals.list": "admin auditor",
  "approvals.reject": "admin",
  "approvals.show": "admin auditor",
  "audit.accept-restored": "admin",
  "audit.archive": "admin",
  "audit.export": "admin auditor",
  "audit.query": "admin auditor",
  "audit.report": "admin auditor",
  "audit.verify": "admin auditor",
  "data-keys.create": "encryptor",
  "data-keys.create-plain": "",
  "data-keys.open": "decryptor",
  "data.decrypt": "decryptor",
  "data.encrypt": "encryptor",
  "data.hash": "encryptor decryptor signer",
  "data.index": "",
  "data.mac": "signer",
  "data.random": "encryptor decryptor signer",
  "data.reveal": "",
  "data.rewrap": "encryptor",
  "data.rewrap-stopped": "",
  "data.sign": "signer",
  "data.verify": "signer",
  "data.verify-mac": "signer",
  "datasets.add": "key-admin",
  "datasets.add-index": "key-admin",
  "datasets.census": "key-admin key-operator",
  "datasets.cut-over": "key-admin",
  "datasets.cut-over-column": "key-admin",
  "datasets.drop-generation": "key-admin",
  "datasets.erase": "key-admin",
  "datasets.erase-column": "key-admin",
  "datasets.find": "",
  "datasets.import": "key-admin key-operator",
  "datasets.index": "key-admin key-operator",
  "datasets.list": "key-admin key-operator auditor",
  "datasets.plan-index": "key-admin",
  "datasets.protect": "key-admin key-operator",
  "datasets.recontext": "key-admin key-operator",
  "datasets.reencrypt": "key-admin key-operator",
  "datasets.set-context": "key-admin key-operator",
  "datasets.show": "key-admin key-operator auditor",
  "datasets.start-generation": "key-admin",
  "datasets.unprotect": "key-admin",
  "datasets.verify": "key-admin key-operator",
  "doctor.examine": "admin auditor",
  "jobs.cancel": "key-admin key-operator",
  "jobs.list": "key-admin key-operator auditor",
  "jobs.pause": "key-admin key-operator",
  "jobs.resume": "key-admin key-operator",
  "jobs.show": "key-admin key-operator auditor",
  "keks.add": "admin",
  "keks.list": "admin key-admin auditor",
  "keks.rotate": "admin",
  "keks.test": "admin",
  "keys.activate": "key-admin key-operator",
  "keys.cancel-destroy": "key-admin",
  "keys.certificate": "key-admin key-operator auditor",
  "keys.compromise": "key-admin",
  "keys.create": "key-admin",
  "keys.deactivate": "key-admin key-operator",
  "keys.destroy": "key-admin",
  "keys.list": "key-admin key-operator auditor",
  "keys.open": "",
  "keys.remove-alias": "key-admin",
  "keys.resume": "key-admin key-operator",
  "keys.rewrap": "",
  "keys.rotate": "key-admin key-operator",
  "keys.set": "key-admin",
  "keys.set-alias": "key-admin",
  "keys.show": "key-admin key-operator auditor",
  "keys.suspend": "key-admin key-operator",
  "keys.usage": "key-admin key-operator auditor",
  "leases.create": "",
  "leases.list": "admin key-admin auditor",
  "leases.revoke": "admin key-admin",
  "metrics.read": "admin auditor",
  "policies.create": "admin",
  "policies.explain": "admin auditor",
  "policies.list": "admin auditor",
  "policies.remove": "admin",
  "policies.set": "admin",
  "policies.show": "admin auditor",
  "principals.list": "admin auditor",
  "principals.remove": "admin",
  "principals.set": "admin",
  "principals.show": "admin auditor",
  "purposes.create": "key-admin",
  "purposes.list": "admin key-admin key-operator auditor",
  "purposes.set": "key-admin",
  "purposes.show": "admin key-admin key-operator auditor",
  "routes.list": "admin key-admin auditor",
  "routes.set": "admin",
  "settings.list": "admin key-admin auditor",
  "settings.set": "admin",
  "store.copy": "admin",
  "store.create": "",
  "tokens.create": "admin",
  "tokens.list": "admin auditor",
  "tokens.revoke": "admin",
};

describe("the built-in roles", () => {
  it.each(Object.entries(matrix))("%s: %s", (wanted, roles) => {
    const may = builtInRoles.filter(
      ({ name }) => decide(rolePolicies, of(`role:${name}`, "*"), wanted, { key: "k", purpose: "pii" }, noon).outcome === "allow",
    );
    expect(may.map(({ name }) => name).join(" ")).toBe(roles);
  });

  it("are told here for every action", () => {
    expect(Object.keys(matrix)).toEqual([...actionNames].sort());
  });

  it("speak of actions that there are", () => {
    for (const { actions } of builtInRoles) {
      for (const pattern of actions)
        expect(
          actionNames.some((name) => matchesAction(pattern, name)),
          pattern,
        ).toBe(true);
    }
  });

  it("keep data from who administers, and administration from who has data", () => {
    const data = actionNames.filter((name) => name.startsWith("data.") || name.startsWith("data-keys."));
    const mayAny = (role: string, list: readonly string[]): boolean =>
      list.some((wanted) => decide(rolePolicies, of(`role:${role}`), wanted, { key: "k" }, noon).outcome === "allow");
    for (const role of ["admin", "key-admin", "key-operator", "auditor"]) expect(mayAny(role, data), role).toBe(false);
    const rest = actionNames.filter((name) => !data.includes(name));
    for (const role of ["encryptor", "decryptor", "signer"]) expect(mayAny(role, rest), role).toBe(false);
  });
});
