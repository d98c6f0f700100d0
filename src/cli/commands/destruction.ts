import type { Command } from "commander";
import type { KeyInfo, VersionInfo } from "../../index.ts";
import { formatInstant } from "../instants.ts";
import { examples, type ReasonOptions, reasonOption, wholeNumber, type YesOptions, yesOption } from "../options.ts";
import { confirm } from "../prompts.ts";
import { withKeystead } from "../session.ts";
import { formatFacts } from "../table.ts";
import { compromiseNotes, notesOn } from "../usage-notes.ts";
import { findVersionNumber, keyArgument, versionArgument } from "./keys.ts";

interface DestroyFlags extends ReasonOptions, YesOptions {
  readonly waitingDays?: number;
}

/** Adds the commands of `keys` that end a version. */
export function addDestructionCommands(keys: Command): void {
  addCompromise(keys);
  addDestroy(keys);
  addCancelDestroy(keys);
  addCertificate(keys);
}

function addCompromise(keys: Command): void {
  keys
    .command("compromise")
    .description("Mark a version as compromised. It seals and opens nothing any more, except for re-encryption, and that can't be undone.")
    .addArgument(keyArgument())
    .addArgument(versionArgument())
    .addOption(reasonOption())
    .addOption(yesOption())
    .addHelpText(
      "after",
      examples(
        "# the key leaked: new data goes under a new version first, then the old one is shut and its data moved",
        "keystead keys rotate pii-email",
        'keystead keys compromise pii-email 1 --reason "found in a log, ticket 4711"',
        "keystead datasets reencrypt crm.person",
        "keystead rewrap --lines < values.ks1 > values.new.ks1",
      ),
    )
    .action((name: string, versionText: string, { yes, ...reason }: ReasonOptions & YesOptions, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const version = await findVersionNumber(keystead.keys, name, versionText);
        const { label } = versionOf(await keystead.keys.show(name), version);
        await confirm(`Mark version ${label} of ${name} as compromised? It opens nothing from now on, and that can't be undone.`, {
          yes,
          output,
        });
        const key = await keystead.keys.compromise(name, version, reason);
        await output.result(key, () => `version ${label} of ${key.name} is compromised\n`);
        for (const note of notesOn(key.usages, compromiseNotes)) output.note(note);
      }),
    );
}

function addDestroy(keys: Command): void {
  keys
    .command("destroy")
    .description(
      "Destroy a version for ever, in two steps. The first call schedules it: from then on the version opens nothing. A call after " +
        "the waiting time destroys it. Both are refused while anything still needs the version.",
    )
    .addArgument(keyArgument())
    .addArgument(versionArgument())
    .option("--waiting-days <days>", "days to wait (at least the setting destructionWaitingDays)", wholeNumber(1))
    .addOption(reasonOption())
    .addOption(yesOption())
    .addHelpText(
      "after",
      examples(
        'keystead keys destroy pii-email 1 --reason "retired"',
        "# after the waiting time; then keep the certificate",
        "keystead keys destroy pii-email 1 --yes",
        "keystead keys certificate pii-email 1 --json > certificate.json",
        "# something still needs it",
        "keystead keys cancel-destroy pii-email 1",
      ),
    )
    .action((name: string, versionText: string, { yes, ...options }: DestroyFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const version = await findVersionNumber(keystead.keys, name, versionText);
        const key = await keystead.keys.show(name);
        await confirm(question(key, versionOf(key, version)), { yes, output });
        const result = await keystead.keys.destroy(name, version, options);
        await output.result(result, () =>
          result.status === "scheduled"
            ? `version ${result.label} of ${key.name} opens nothing from now on and may be destroyed after ${formatInstant(result.executeAfter)}\n`
            : `version ${result.label} of ${key.name} is destroyed\n${formatFacts({ ...result.certificate })}`,
        );
        if (result.status === "scheduled") output.note(`back by \`keystead keys cancel-destroy ${key.name} ${version}\``);
      }),
    );
}

function addCancelDestroy(keys: Command): void {
  keys
    .command("cancel-destroy")
    .description("Cancel a scheduled destruction; the version opens again what it may, and stays deactivated or compromised.")
    .addArgument(keyArgument())
    .addArgument(versionArgument())
    .addOption(reasonOption())
    .addHelpText("after", examples('keystead keys cancel-destroy pii-email 1 --reason "the archive still needs it"'))
    .action((name: string, versionText: string, reason: ReasonOptions, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const version = await findVersionNumber(keystead.keys, name, versionText);
        await keystead.keys.cancelDestroy(name, version, reason);
        const key = await keystead.keys.show(name);
        await output.result(
          key,
          () => `version ${versionOf(key, version).label} of ${key.name} is not destroyed; it is ${versionOf(key, version).state}\n`,
        );
      }),
    );
}

function addCertificate(keys: Command): void {
  keys
    .command("certificate")
    .description("Show the signed certificate of a destroyed version; with --json as `keystead audit verify-certificate` reads it.")
    .addArgument(keyArgument())
    .addArgument(versionArgument())
    .addHelpText(
      "after",
      examples(
        "keystead keys certificate pii-email 1 --json > certificate.json",
        "keystead audit verify-certificate certificate.json --pinned-key audit.pem",
      ),
    )
    .action((name: string, versionText: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const certificate = await keystead.keys.certificate(name, await findVersionNumber(keystead.keys, name, versionText));
        await output.result(certificate, () => formatFacts({ ...certificate }));
      }),
    );
}

function question({ name }: KeyInfo, { label, state }: Pick<VersionInfo, "label" | "state">): string {
  return state === "destruction-pending" || state === "pre-active"
    ? `Destroy version ${label} of ${name} for ever?`
    : `Schedule the destruction of version ${label} of ${name}? It opens nothing from now on, until you cancel.`;
}

/** The version of that number; only its number when there is none, which the engine then says. */
function versionOf(key: KeyInfo, version: number): Pick<VersionInfo, "label" | "state"> {
  return key.versions.find((candidate) => candidate.version === version) ?? { label: String(version), state: "active" };
}
