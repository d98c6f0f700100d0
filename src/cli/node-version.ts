import { errorCodes } from "../errors.ts";

/** The oldest Node that has everything Keystead needs: as `engines` of package.json says, which npm only warns about. */
const required = { major: 24, minor: 7 } as const;

/**
 * What to say on a Node that is too old; `undefined` where it suits.
 * @param version like `24.7.0`
 */
export function nodeVersionProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > required.major || (major === required.major && minor >= required.minor)) return undefined;
  return `this is Node ${version} and Keystead needs Node ${required.major}.${required.minor} or later; install one (https://nodejs.org) and run it with that`;
}

/** Says that this Node is too old, as any failure is told, without what an old Node may not load. Returns the exit code. */
export function reportOldNode(message: string, json: boolean): number {
  const { exit } = errorCodes.INVALID_ARGUMENT;
  process.stderr.write(json ? `${JSON.stringify({ code: "INVALID_ARGUMENT", message, exitCode: exit })}\n` : `keystead: ${message}\n`);
  return exit;
}
