import type { Command } from "commander";
import type { LeaseInfo } from "../../index.ts";
import { formatInstant } from "../instants.ts";
import { examples, reasonOption, type ReasonOptions } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatFacts, formatTable, type TableColumn } from "../table.ts";

/** Adds `leases`. */
export function addLeaseCommands(program: Command): void {
  const leases = program
    .command("leases")
    .description("Derived keys that clients hold for a while, to seal and open by themselves.")
    .addHelpText(
      "after",
      examples(
        "keystead leases list --key pii-email",
        "keystead leases revoke 019a3f6e-7c11-7d52-9b1e-4f0c2a6d8e35 --reason 'host stolen'",
      ),
    );
  leases
    .command("list")
    .description("List leases in force, the newest first, at most 1,000.")
    .option("--key <key>", "only those of this key")
    .addHelpText(
      "after",
      examples(
        "keystead leases list --key pii-email",
        "# what a principal leased, also leases that are over: until they are revoked they are leased again, to open",
        "keystead audit show --action leases.create --principal token:a7f2qdk5m3xw2b4c --all --json",
      ),
    )
    .action(({ key }: { readonly key?: string }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.leases.list(key === undefined ? {} : { key });
        await output.result(found, () => (found.length === 0 ? "no leases in force" : formatTable(found, columns)));
      }),
    );
  leases
    .command("show")
    .description("Show a lease, in force or not, without its key.")
    .argument("<lease>", "id of a lease")
    .addHelpText("after", examples("keystead leases show 019a3f6e-7c11-7d52-9b1e-4f0c2a6d8e35"))
    .action((id: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const lease = await keystead.leases.show(id);
        await output.result(lease, () => factsOf(lease));
      }),
    );
  leases
    .command("revoke")
    .description("Revoke a lease: its holder stops within 60 seconds, and nobody gets its key again.")
    .argument("<lease>", "id of a lease")
    .addOption(reasonOption())
    .addHelpText("after", examples("keystead leases revoke 019a3f6e-7c11-7d52-9b1e-4f0c2a6d8e35 --reason 'host stolen'"))
    .action((id: string, flags: ReasonOptions, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const revoked = await keystead.leases.revoke(id, flags);
        await output.result(revoked, () => factsOf(revoked));
        output.note(
          "its holder stops within 60 s; was it stolen, whoever has its key opens what was sealed with it for ever: " +
            `\`keystead keys rotate ${revoked.key}\`, then \`keystead datasets reencrypt\`, or \`keystead rewrap\` outside datasets`,
        );
      }),
    );
}

function factsOf({ id, key, version, dataset, prefix, principal, state, messages, createdAt, expiresAt, revokedBy }: LeaseInfo): string {
  return formatFacts({
    lease: id,
    key,
    version,
    dataset,
    holder: principal,
    state,
    messages,
    "payloads begin with": prefix,
    taken: formatInstant(createdAt),
    ends: formatInstant(expiresAt),
    "revoked by": revokedBy,
  });
}

const columns: readonly TableColumn<LeaseInfo>[] = [
  { title: "lease", cell: ({ id }) => id },
  { title: "key", cell: ({ key }) => key },
  { title: "version", cell: ({ version }) => version },
  { title: "holder", cell: ({ principal }) => principal },
  { title: "messages", cell: ({ messages }) => messages },
  { title: "taken", cell: ({ createdAt }) => formatInstant(createdAt) },
  { title: "ends", cell: ({ expiresAt }) => formatInstant(expiresAt) },
];
