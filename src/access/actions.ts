/** What one action is. */
export interface ActionDefinition {
  /** One line for people: what may be done by it. */
  readonly does: string;
  /** True when it has the context of an operation on data, so that policies may ask for one. */
  readonly context?: true;
  /** True when it tells callers about themselves alone: what their credential is good for does not bound it. */
  readonly self?: true;
}

/** Every action that access control is asked about, by name: `<noun>.<verb>`. */
const actions = {
  "keys.list": { does: "list keys" },
  "keys.show": { does: "show a key and its versions" },
  "keys.usage": { does: "show how much a version was used" },
  "keys.certificate": { does: "show the certificate of a version that was destroyed" },
  "keys.create": { does: "create a key" },
  "keys.set": { does: "change a key's tags and rotation policy" },
  "keys.rotate": { does: "make the next version of a key" },
  "keys.activate": { does: "make a pre-active version active" },
  "keys.suspend": { does: "suspend a version" },
  "keys.resume": { does: "end a suspension" },
  "keys.deactivate": { does: "stop a version from sealing" },
  "keys.compromise": { does: "mark a version as compromised" },
  "keys.destroy": { does: "schedule and execute the destruction of a version" },
  "keys.cancel-destroy": { does: "cancel a scheduled destruction" },
  "keys.set-alias": { does: "point an alias to a key" },
  "keys.remove-alias": { does: "remove an alias" },
  "keys.open": { does: "hold a key in one's own process: seals, opens and makes tags and tokens as long as it is held", context: true },
  "keys.rewrap": { does: "open what a key sealed, to move it to another version in one's own process", context: true },

  "data.encrypt": { does: "encrypt", context: true },
  "data.decrypt": { does: "decrypt", context: true },
  "data.rewrap": {
    does: "move ciphertext to another version, without seeing its plaintext; to another key with data.decrypt of its own and data.encrypt of the other",
    context: true,
  },
  "data.rewrap-stopped": {
    does: "move, by data.rewrap, what a version sealed that is suspended, compromised or waits for destruction",
    context: true,
  },
  "data.reveal": { does: "show a field to a person: its plaintext for a reason, or a masked form", context: true },
  "data.index": { does: "make blind-index tokens of values: whoever may can find out values by trying", context: true },
  "data.mac": { does: "make a tag" },
  "data.verify-mac": { does: "verify a tag" },
  "data.sign": { does: "sign" },
  "data.verify": { does: "verify a signature" },
  "data.hash": { does: "hash" },
  "data.random": { does: "get random bytes" },
  "data-keys.create": { does: "get a fresh data key, wrapped only", context: true },
  "data-keys.create-plain": { does: "get a fresh data key, wrapped and plain", context: true },
  "data-keys.open": { does: "unwrap a data key", context: true },
  "leases.create": { does: "lease a derived key, to encrypt or decrypt in one's own process" },
  "leases.list": { does: "list leases" },
  "leases.revoke": { does: "revoke a lease" },

  "purposes.list": { does: "list purposes" },
  "purposes.show": { does: "show a purpose and its default key" },
  "purposes.create": { does: "register a purpose" },
  "purposes.set": { does: "change a purpose" },
  "routes.list": { does: "list which KEK wraps which keys" },
  "routes.set": { does: "change which KEK wraps which keys" },
  "keks.list": { does: "list KEKs and whether they can be opened" },
  "keks.add": { does: "make a KEK known to the store" },
  "keks.test": { does: "try whether a KEK can be opened" },
  "keks.rotate": { does: "re-wrap everything from one KEK under another" },
  "settings.list": { does: "list settings" },
  "settings.set": { does: "change a setting" },
  "store.create": { does: "make a store" },
  "store.copy": { does: "copy or move the store" },

  "datasets.list": { does: "list datasets" },
  "datasets.show": { does: "show a dataset and its record definition" },
  "datasets.add": { does: "register a dataset" },
  "datasets.add-index": { does: "add a blind index to a dataset" },
  "datasets.start-generation": { does: "start another generation of a blind index" },
  "datasets.cut-over": { does: "search by another generation of a blind index" },
  "datasets.drop-generation": { does: "drop a generation of a blind index" },
  "datasets.cut-over-column": { does: "let ciphertext count in place of plaintext" },
  "datasets.erase-column": { does: "give the plaintext of a column up" },
  "datasets.erase": { does: "erase the plaintext of a column" },
  "datasets.set-context": { does: "move a dataset to another context", context: true },
  "datasets.census": { does: "count what versions protect" },
  "datasets.find": {
    does: "search rows by a blind index: whoever may can find out values by trying, and reads those that data.decrypt allows",
    context: true,
  },
  "datasets.plan-index": { does: "plan a blind index from the values of a table" },
  "datasets.protect": { does: "run the job that seals plaintext" },
  "datasets.reencrypt": { does: "run the job that moves values to current versions" },
  "datasets.import": { does: "run the job that takes in what another system encrypted" },
  "datasets.recontext": { does: "run the job that moves values to another context", context: true },
  "datasets.index": { does: "run the job that fills blind indexes" },
  "datasets.verify": { does: "run the job that opens every value to check it" },
  "datasets.unprotect": { does: "run the job that writes values back as plaintext", context: true },
  "jobs.list": { does: "list jobs" },
  "jobs.show": { does: "show a job" },
  "jobs.resume": { does: "go on with a job" },
  "jobs.pause": { does: "pause a job" },
  "jobs.cancel": { does: "cancel a job" },

  "audit.query": { does: "read audit records" },
  "audit.export": { does: "export the audit" },
  "audit.verify": { does: "verify the audit, and list who signs it" },
  "audit.report": { does: "count what the audit holds" },
  "audit.archive": { does: "move old audit records into a file" },
  "audit.accept-restored": { does: "go on with a store that was put back from a copy" },
  "doctor.examine": { does: "look for everything that is wrong" },
  "metrics.read": { does: "read metrics" },

  "access.whoami": { does: "ask whom one is taken for", self: true },
  "policies.list": { does: "list policies and roles" },
  "policies.show": { does: "show a policy" },
  "policies.explain": { does: "ask what somebody may do, and why" },
  "policies.create": { does: "make a policy" },
  "policies.set": { does: "change a policy" },
  "policies.remove": { does: "remove a policy" },
  "principals.list": { does: "list who has roles and who is disabled" },
  "principals.show": { does: "show a principal's roles" },
  "principals.set": { does: "give roles to a principal, or disable it" },
  "principals.remove": { does: "take all roles of a principal away" },
  "tokens.list": { does: "list tokens, without their secrets" },
  "tokens.create": { does: "make a token" },
  "tokens.revoke": { does: "revoke a token" },
  "approvals.list": { does: "list what waits for approval" },
  "approvals.show": { does: "show what waits for approval" },
  "approvals.approve": { does: "approve what somebody else asks for" },
  "approvals.reject": { does: "reject what somebody else asks for" },
} as const satisfies Readonly<Record<string, ActionDefinition>>;

/** Shows a field to a person. It alone has masks. */
export const revealAction = "data.reveal" satisfies keyof typeof actions;

const known: ReadonlyMap<string, ActionDefinition> = new Map<string, ActionDefinition>(Object.entries(actions));
const nouns = new Set([...known.keys()].map(nounOf));
const namePattern = /^[a-z][A-Za-z0-9-]*(?:\.[a-z][A-Za-z0-9-]*)+$/;

/** Every action of Keystead, in the order of the table. */
export const actionNames: readonly string[] = [...known.keys()];

/** What an action is; undefined for one that a program guards by itself. */
export function findAction(name: string): ActionDefinition | undefined {
  return known.get(name);
}

/** True for an action of Keystead, and for a name that a program may guard its own functions by: another noun, 64 characters at most. */
export function isActionName(name: string): boolean {
  return known.has(name) || (name.length <= 64 && namePattern.test(name) && !nouns.has(nounOf(name)));
}

/** Operations on data whose nouns have others, too. */
const further: ReadonlySet<string> = new Set(["leases.create", "datasets.find"] satisfies (keyof typeof actions)[]);

/** True for an operation on data: it is answered at once, so that it can't wait for a second person. */
export function isOnData(name: string): boolean {
  return ["data", "data-keys"].includes(nounOf(name)) || further.has(name);
}

/** True for the first part of an action's name. */
export function isActionNoun(noun: string): boolean {
  return nouns.has(noun);
}

function nounOf(name: string): string {
  return name.slice(0, name.indexOf("."));
}
