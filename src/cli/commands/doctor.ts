import type { Command } from "commander";
import type { Diagnosis } from "../../index.ts";
import { describeFailure } from "../failure.ts";
import { examples } from "../options.ts";
import { outputOf } from "../output.ts";
import { withKeystead } from "../session.ts";
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
  let findings: Diagnosis[] = [];
  try {
    await withKeystead(
      command,
      async ({ keystead }) => {
        if (flags.acceptRestored === true) await keystead.audit.acceptRestoredStore();
        findings = await keystead.doctor.examine();
      },
      { migrate: flags.migrate === true },
    );
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
