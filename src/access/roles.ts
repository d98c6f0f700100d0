import { actionNames } from "./actions.ts";
import { matchesAction } from "./patterns.ts";
import type { Policy } from "./policy.ts";
import { everybody } from "./subject.ts";

/** A role that Keystead has. */
export interface BuiltInRole {
  readonly name: string;
  readonly does: string;
  /** Patterns of what it allows, to everything. */
  readonly actions: readonly string[];
}

/** What needs neither a key nor a right to anybody's data. */
const keyless = ["data.hash", "data.random"];
const looks = ["list", "show", "usage", "certificate"];
const looksAt = actionNames.filter((action) => matchesAction("*.list", action) || matchesAction("*.show", action));
const lifecycle = ["create", "set", "rotate", "activate", "suspend", "resume", "deactivate", "compromise"];
const endOfLife = ["destroy", "cancel-destroy", "set-alias", "remove-alias"];
const movingJobs = ["census", "protect", "reencrypt", "import", "recontext", "set-context", "index", "verify"];
const datasetChanges = ["add", "add-index", "start-generation", "cut-over", "drop-generation", "cut-over-column", "erase-column", "erase"];

function of(noun: string, verbs: readonly string[]): string[] {
  return verbs.map((verb) => `${noun}.${verb}`);
}

/**
 * The roles that every store has. None of them has `data.reveal`, `data.rewrap-stopped`, `data.index`, `datasets.find`, `keys.open`, `keys.rewrap` or `leases.create`: what they
 * give away is so much that a policy has to name them. A policy narrows a role (`deny`), or gives less than a role by itself.
 */
export const builtInRoles: readonly BuiltInRole[] = [
  {
    name: "admin",
    does: "runs the system: principals, policies, tokens, approvals, settings, KEKs, routes; no keys, no data",
    actions: [
      ...["policies.*", "principals.*", "tokens.*", "approvals.*", "settings.*", "keks.*", "routes.*", "store.copy"],
      ...[
        "doctor.examine",
        "audit.query",
        "audit.export",
        "audit.verify",
        "audit.report",
        "audit.archive",
        "audit.accept-restored",
        "metrics.read",
      ],
      ...["purposes.list", "purposes.show", "leases.list", "leases.revoke"],
    ],
  },
  {
    name: "key-admin",
    does: "keys, purposes, datasets and jobs from beginning to end, destruction included; no policies, principals or tokens, no data",
    actions: [
      ...of("keys", [...looks, ...lifecycle, ...endOfLife]),
      "purposes.*",
      ...of("datasets", ["list", "show", "plan-index", "unprotect", ...datasetChanges, ...movingJobs]),
      "jobs.*",
      ...["routes.list", "keks.list", "settings.list", "leases.list", "leases.revoke"],
    ],
  },
  {
    name: "key-operator",
    does: "rotates, suspends, counts and re-encrypts; never sees data or key bytes",
    actions: [
      ...of("keys", [...looks, "rotate", "activate", "suspend", "resume", "deactivate"]),
      ...["purposes.list", "purposes.show"],
      ...of("datasets", ["list", "show", ...movingJobs]),
      "jobs.*",
    ],
  },
  {
    name: "encryptor",
    does: "encrypts and moves ciphertext, without opening anything",
    actions: ["data.encrypt", "data.rewrap", "data-keys.create", ...keyless],
  },
  { name: "decryptor", does: "decrypts", actions: ["data.decrypt", "data-keys.open", ...keyless] },
  {
    name: "signer",
    does: "makes and verifies tags and signatures",
    actions: ["data.mac", "data.verify-mac", "data.sign", "data.verify", ...keyless],
  },
  {
    name: "auditor",
    does: "reads the audit and everything that is listed; changes nothing",
    actions: [
      ...["audit.query", "audit.export", "audit.verify", "audit.report", ...looksAt, "keys.usage", "keys.certificate"],
      ...["doctor.examine", "policies.explain", "metrics.read"],
    ],
  },
];

/** What the built-in roles allow, as the policies that they are, and what everybody who is known may do. */
export const rolePolicies: readonly Policy[] = [
  ...builtInRoles.map(({ name, actions, does }) => rolePolicy(`role:${name}`, `role:${name}`, actions, does)),
  rolePolicy("everybody", everybody, ["access.whoami"], "learns whom it is taken for"),
];

function rolePolicy(id: string, subject: string, actions: readonly string[], description: string): Policy {
  return { id, effect: "allow", subject, actions, scope: {}, description };
}

/** True for the name of a role that Keystead has. */
export function isBuiltInRole(name: string): boolean {
  return builtInRoles.some((role) => role.name === name);
}
