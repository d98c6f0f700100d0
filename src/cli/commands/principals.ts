import type { Command } from "commander";
import type { PrincipalInfo } from "../../index.ts";
import { examples, repeatable } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";

interface PrincipalFlags {
  readonly role: readonly string[];
  readonly roles?: false;
  readonly disable?: boolean;
  readonly enable?: boolean;
  readonly description?: string;
}

const subjectHelp = "os-user:NAME, oidc:ISSUER:SUBJECT, token:ID, claim:NAME=VALUE or group:NUMBER";

/** Adds `principals`. */
export function addPrincipalCommands(program: Command): void {
  const principals = program
    .command("principals")
    .description("Who has which roles, and who is disabled.")
    .addHelpText("after", examples("keystead principals add os-user:anna --role key-admin", "keystead principals list"));
  for (const [name, description, example] of [
    ["add", "Give roles to a principal.", "keystead principals add claim:realm_access.roles=payroll --role encryptor"],
    ["set", "Change a principal; what is not named stays.", "keystead principals set os-user:anna --disable"],
  ] as const) {
    principals
      .command(name)
      .description(description)
      .argument("<principal>", subjectHelp)
      .addOption(repeatable("--role <name>", "role that it has; all of them are named"))
      .option("--no-roles", "no role")
      .option("--disable", "it may do nothing, nor may its tokens")
      .option("--enable", "it is disabled no more")
      .option("--description <text>", "who that is")
      .addHelpText("after", examples(example))
      .action((subject: string, { role, roles, disable, enable, description }: PrincipalFlags, command: Command) =>
        withKeystead(command, async ({ keystead, output }) => {
          const row = await keystead.principals.set(subject, {
            ...((role.length > 0 || roles === false) && { roles: role }),
            ...((disable === true || enable === true) && { disabled: disable === true }),
            ...(description !== undefined && { description }),
          });
          await output.result(row, () => formatTable([row], columns));
        }),
      );
  }
  principals
    .command("list")
    .description("List them.")
    .addHelpText("after", examples("keystead principals list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.principals.list();
        await output.result(found, () => (found.length === 0 ? "nobody has a role yet" : formatTable(found, columns)));
      }),
    );
  principals
    .command("remove")
    .description("Take all roles of a principal away, and forget that it is disabled.")
    .argument("<principal>", subjectHelp)
    .addHelpText("after", examples("keystead principals remove os-user:anna"))
    .action((subject: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        await keystead.principals.remove(subject);
        await output.result({ removed: subject }, () => `removed ${subject}`);
      }),
    );
}

const columns: readonly TableColumn<PrincipalInfo>[] = [
  { title: "principal", cell: ({ subject }) => subject },
  { title: "roles", cell: ({ roles }) => roles.join(" ") },
  { title: "disabled", cell: ({ disabled }) => (disabled ? "yes" : "no") },
  { title: "description", cell: ({ description }) => description },
];
