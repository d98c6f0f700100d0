import { assertArguments, number, object, optional, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import type { StoredRecord } from "../store/tables.ts";
import { auditKeyName } from "./audit-signer.ts";
import { auditedOnKey } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { describeKey, findKeyById, findVersion, type KeyInfo } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";
import { becomeCurrent, orphanedFrom, refreshQuietly } from "./rotate-key.ts";
import { readSettings } from "./settings.ts";
import { assertTransition, type VersionPhase, type VersionState } from "./version-state.ts";

interface StateChange {
  readonly to: VersionState;
  /** Phases it may start from, where the states table alone allows more. */
  readonly from?: readonly VersionPhase[];
}

/** The acts that change a version's state, apart from destruction. */
const stateChanges = {
  activate: { to: "active", from: ["pre-active"] },
  suspend: { to: "suspended" },
  resume: { to: "active", from: ["suspended"] },
  deactivate: { to: "deactivated", from: ["active", "suspended"] },
  compromise: { to: "compromised", from: ["pre-active", "active", "suspended", "deactivated"] },
} as const satisfies Record<string, StateChange>;

/** Name of a state change. */
export type StateChangeName = keyof typeof stateChanges;

/** Why a state changes. */
export interface StateChangeOptions {
  /** 1 to 1,024 characters. */
  readonly reason?: string;
}

/** What names a version, and why its state changes. */
export const stateChangeArguments = {
  nameOrAlias: text,
  version: number,
  options: object<StateChangeOptions>({ reason: optional(text) }),
};

/**
 * Changes the state of a version; dated, reasoned and audited.
 * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `KEY_STATE` naming the ways that are open
 */
export async function changeState(
  engine: Engine,
  name: StateChangeName,
  nameOrAlias: string,
  version: number,
  options: StateChangeOptions = {},
): Promise<KeyInfo> {
  assertArguments({ nameOrAlias, version, options }, stateChangeArguments);
  const { reason } = options;
  const act = { action: `keys.${name}`, version, ...(reason !== undefined && { reason }), terms: {} };
  return auditedOnKey(engine, nameOrAlias, act, async (keyId) => {
    const change: StateChange = stateChanges[name];
    const changed = await engine.store.transaction(async (tables) => {
      const key = await findKeyById(tables, keyId);
      const row = await findVersion(tables, key, version);
      assertMayChange(name, change, row);
      if (key.name === auditKeyName && row.version === key.currentVersion && change.to !== "active") throw signsTheAudit(row);
      const now = engine.clock.now();
      const { refreshBound } = await readSettings(tables);
      return tables.versions.update({
        ...row,
        state: change.to,
        stateAt: now,
        stateReason: reason ?? name,
        ...(name === "activate" && { activateAt: now, currentFrom: orphanedFrom(now, refreshBound) }),
      });
    });
    if (name === "activate") await becomeCurrent(engine, changed);
    else await refreshQuietly(engine);
    return engine.store.read(async (tables) => describeKey(tables, await findKeyById(tables, keyId)));
  });
}

/** Without it no checkpoint is signed, and records could be deleted unnoticed. */
function signsTheAudit(row: StoredRecord<"versions">): KeysteadError {
  const { label } = describeVersion(row);
  return new KeysteadError(
    "KEY_STATE",
    `version ${label} signs the audit; run \`keystead keys rotate ${auditKeyName}\`, so that another one does, then do this again`,
  );
}

function assertMayChange(name: StateChangeName, change: StateChange, row: StoredRecord<"versions">): void {
  const { label, phase } = describeVersion(row);
  assertTransition(label, phase, change.to);
  if (change.from !== undefined && !change.from.includes(phase)) {
    throw new KeysteadError("KEY_STATE", `version ${label} is ${phase}; ${name} starts from ${change.from.join(" or ")}`);
  }
}
