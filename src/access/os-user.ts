import { userInfo } from "node:os";
import process from "node:process";
import type { Principal } from "./principal.ts";

/** Who runs this process, as the operating system says. */
export interface OsUser {
  readonly principal: Principal;
  /** Numeric group ids, the primary one included, ascending. Empty where the system has none (Windows). */
  readonly groups: readonly number[];
}

/** The user's name, or the number of a user id that has no name (usual in containers). */
function userName(): string {
  try {
    const { username, uid } = userInfo();
    return username === "" ? String(uid) : username;
  } catch {
    return String(process.geteuid?.() ?? "unknown");
  }
}

/** The effective operating-system user of this process, as a principal with its groups. */
export function osUser(): OsUser {
  const groups = new Set(process.getgroups?.());
  const primary = process.getegid?.();
  if (primary !== undefined) groups.add(primary);
  return { principal: { source: "os-user", id: userName() }, groups: [...groups].sort((a, b) => a - b) };
}
