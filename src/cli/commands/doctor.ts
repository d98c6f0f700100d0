import type { Command } from "commander";
import type { Diagnosis } from "../../index.ts";
import { describeFailure } from "../failure.ts";
import { examples } from "../options.ts";
import { outputOf } from "../output.ts";
import { assertFolder } from "../remote.ts";
import { withKeystead, withLocalKeystead } from "../session.ts";
import { formatTable } from "../table.ts";

interface DoctorFlags {
  readonly acceptRestored?: boolean;
  readonly migrate?: boolean;
  readonly strict?: boolean;
}

/** Adds `doctor`. */
export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("Look at everything that can be wrong. Exit code 0 when no check failed, 1 when one did; warnings count with --strict.")
    .option("--strict", "warnings fail, too")
    .option("--accept-restored", "go on with a store that was put back from a copy")
    .option("--migrate", "bring the store's schema up to date first")
    .addHelpText("after", examples("keystead doctor", "keystead doctor --strict --json", "keystead doctor --migrate"))
    .action(examine);
}

async function examine(flags: DoctorFlags, command: Command): Promise<void> {
  const mends = flags.acceptRestored === true ? "--accept-restored" : flags.migrate === true ? "--migrate" : undefined;
  if (mends !== undefined) assertFolder(command, mends, "changes the store where it is");
  let findings: Diagnosis[] = [];
  try {
    findings = await (mends === undefined ? lookAt(command) : mendAndLookAt(flags, command));
  } catch (error) {
    const { code, message, hint } = describeFailure(error, { path: "keystead doctor", debug: false });
    if (code === "INTERNAL") throw error;
    findings.push({ check: "opening", status: "failed", message: `${hint === undefined ? message : `${message}; ${hint}`} (${code})` });
  }
  await outputOf(command).result(findings, () =>
    formatTable(findings, [
      { title: "check", cell: ({ check }) => check },
      { title: "status", cell: ({ status }) => status },
      { title: "message", cell: ({ message }) => message },
    ]),
  );
  const bad: readonly Diagnosis["status"][] = flags.strict === true ? ["warning", "failed"] : ["failed"];
  if (findings.some(({ status }) => bad.includes(status))) process.exitCode = 1;
}

async function lookAt(command: Command): Promise<Diagnosis[]> {
  let findings: Diagnosis[] = [];
  await withKeystead(command, async ({ keystead }) => {
    findings = await keystead.doctor.examine();
  });
  return findings;
}

async function mendAndLookAt({ acceptRestored, migrate }: DoctorFlags, command: Command): Promise<Diagnosis[]> {
  let findings: Diagnosis[] = [];
  await withLocalKeystead(
    command,
    async ({ keystead }) => {
      if (acceptRestored === true) await keystead.audit.acceptRestoredStore();
      findings = await keystead.doctor.examine();
    },
    { migrate: migrate === true },
  );
  return findings;
}
