import { constants } from "node:fs";
import { open } from "node:fs/promises";
import process from "node:process";

/** Makes the names in a directory durable: a new or renamed file is found again after a power failure. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows can't open directories; its file systems keep names without it.
  if (process.platform === "win32") return;
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
