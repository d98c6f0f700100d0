import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { registerSecret } from "./canary.ts";

const keyLine = /^keystead-master-v1:[^:\s]+:([A-Za-z0-9_-]{43})\n?$/;
const longestFile = 256;

/** Registers the key of every master key file under a folder, of which they are part under any name; call it before they are gone. */
export function registerMasterKeys(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // What a process beside this one removed meanwhile is no longer there.
    const size = entry.isFile() ? statSync(path, { throwIfNoEntry: false })?.size : undefined;
    if (size === undefined || size > longestFile) continue;
    const [, key] = keyLine.exec(readFileSync(path, "latin1")) ?? [];
    if (key !== undefined) registerSecret(Buffer.from(key, "base64url"));
  }
}
