import { Command, Help } from "commander";
import { addApprovalCommands } from "./commands/approvals.ts";
import { addAuditCommands } from "./commands/audit.ts";
import { addCipherCommands } from "./commands/cipher.ts";
import { addCompletionCommands } from "./commands/completion.ts";
import { addDataKeyCommands } from "./commands/data-keys.ts";
import { addDatasetCommands } from "./commands/datasets.ts";
import { addDoctorCommand } from "./commands/doctor.ts";
import { addInitCommand } from "./commands/init.ts";
import { addJobCommands } from "./commands/jobs.ts";
import { addKekCommands } from "./commands/kek.ts";
import { addKeyCommands } from "./commands/keys.ts";
import { addKeylessCommands } from "./commands/keyless.ts";
import { addLeaseCommands } from "./commands/leases.ts";
import { addMacCommands } from "./commands/mac.ts";
import { addPolicyCommands } from "./commands/policies.ts";
import { addPrincipalCommands } from "./commands/principals.ts";
import { addPurposeCommands } from "./commands/purposes.ts";
import { addRevealCommand } from "./commands/reveal.ts";
import { addRouteCommands } from "./commands/routes.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addSettingCommands } from "./commands/settings.ts";
import { addStoreCommands } from "./commands/store.ts";
import { addTokenCommands } from "./commands/tokens.ts";
import { addWhoamiCommand } from "./commands/whoami.ts";
import { examples, noneGiven } from "./options.ts";
import { packageVersion } from "./package-version.ts";
import { assertPlace } from "./remote.ts";
import { tourCommand } from "./tour/tour-command.ts";

const plainHelp = new Help();

const serverHelp = `
On a server ($KEYSTEAD_ADDR), the same commands with the same output; --dir stands above it:
  KEYSTEAD_ADDR         its address: https://keys.example.org, or http:// on this machine
  KEYSTEAD_TOKEN_FILE   file with a token (mode 0600), or KEYSTEAD_TOKEN with the token itself
  KEYSTEAD_CACERT       file with the authorities (PEM) that vouch for the server, when not those of the system
  KEYSTEAD_CLIENT_CERT, KEYSTEAD_CLIENT_KEY   files (PEM), where the server wants a client certificate`;

const exitCodes = `
Exit codes:
   0  done                                     7  try again: busy, or another process changed something
   1  internal error; doctor: a check failed   8  the store is missing, full, read-only, too old or too new
   2  wrong usage                              9  the store or the audit was tampered with
   3  data does not open                      10  a master key or KEK is wrong, missing or readable by others
   4  access denied                           11  a database failed
   5  no such key, purpose, dataset …         12  cancelled, or a job was paused
   6  refused: state, name taken, in use, rows left over`;

/** The whole command line. Loads nothing of the engine: commands do that when they run. */
export function buildProgram(): Command {
  const program = new Command("keystead")
    .description("Key management: keys, and the stored data they protect.")
    .version(packageVersion(), "-V, --version", "print the version")
    .option("--dir <folder>", "data folder, also when $KEYSTEAD_ADDR names a server (default: $KEYSTEAD_DIR, else ./keystead-data)")
    .option("--json", "print one JSON value; errors become JSON on stderr")
    .option("--no-progress", "show no progress")
    .helpOption("-h, --help", "print help")
    .helpCommand("help [command]", "print help for a command")
    .configureHelp({
      showGlobalOptions: true,
      subcommandDescription: (command) => firstSentence(command.description()),
      optionDescription: (option) => plainHelp.optionDescription(option).replace(` (default: ${noneGiven})`, ""),
    })
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .addHelpText(
      "after",
      examples(
        "keystead init",
        "keystead keys create pii-email --purpose pii",
        "printf anna@example.org | keystead encrypt --key pii-email",
        "keystead keys rotate pii-email",
        "keystead datasets reencrypt crm.person",
        "keystead doctor",
      ),
    )
    .addHelpText("after", serverHelp)
    .addHelpText("after", exitCodes)
    .hook("preAction", (_, command) => assertPlace(command));
  addInitCommand(program);
  addKeyCommands(program);
  addPurposeCommands(program);
  addCipherCommands(program);
  addRevealCommand(program);
  addMacCommands(program);
  addKeylessCommands(program);
  addDataKeyCommands(program);
  addDatasetCommands(program);
  addJobCommands(program);
  addKekCommands(program);
  addRouteCommands(program);
  addServeCommand(program);
  addSettingCommands(program);
  addStoreCommands(program);
  addPolicyCommands(program);
  addPrincipalCommands(program);
  addTokenCommands(program);
  addWhoamiCommand(program);
  addLeaseCommands(program);
  addApprovalCommands(program);
  addAuditCommands(program);
  addDoctorCommand(program);
  addCompletionCommands(program);
  program.addCommand(tourCommand().copyInheritedSettings(program));
  return program;
}

/** Lists of commands are read across; the rest of a description stands in the command's own help. */
function firstSentence(text: string): string {
  return text.replace(/\.\s[^]*$|\.$/, "");
}
