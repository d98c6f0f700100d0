import type { Command } from "commander";
import type { TokenInfo } from "../../index.ts";
import { writeData } from "../data-streams.ts";
import { formatInstant, parseInstant } from "../instants.ts";
import { examples, repeatable } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";

interface CreateFlags {
  readonly role: readonly string[];
  readonly action: readonly string[];
  readonly key: readonly string[];
  readonly purpose: readonly string[];
  readonly expires?: string;
  readonly out?: string;
}

/** Adds `tokens`. */
export function addTokenCommands(program: Command): void {
  const tokens = program
    .command("tokens")
    .description("API tokens: bounded in what and how long they are good for.")
    .addHelpText(
      "after",
      examples("keystead tokens create payroll-import --role encryptor --key 'payroll/**' --out token", "keystead tokens list"),
    );
  tokens
    .command("create")
    .description("Make a token. It is shown once, on stdout or in a file of your own, and kept nowhere.")
    .argument("<name>", "what it is for")
    .addOption(repeatable("--role <name>", "role that it has"))
    .addOption(repeatable("--action <pattern>", "good for these actions at most"))
    .addOption(repeatable("--key <pattern>", "good for these keys at most"))
    .addOption(repeatable("--purpose <pattern>", "good for keys of these purposes at most"))
    .option("--expires <date>", "when it ends: 2027-01-31 or 90d; a day from now when absent")
    .option("-o, --out <file>", "write it here, readable by you alone")
    .addHelpText("after", examples("keystead tokens create backup-job --role auditor --expires 90d --out token"))
    .action((name: string, flags: CreateFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        const { role: roles, action: actions, key: keys, purpose: purposes, expires, out } = flags;
        const scope = {
          ...(actions.length > 0 && { actions }),
          ...(keys.length > 0 && { keys }),
          ...(purposes.length > 0 && { purposes }),
        };
        const expiresAt = expires === undefined ? undefined : parseInstant(expires, clock.now());
        const { token, ...made } = await keystead.tokens.create({ name, roles, scope, ...(expiresAt !== undefined && { expiresAt }) });
        if (out === undefined) {
          await output.result({ ...made, token }, () => token);
          return;
        }
        try {
          await writeData({ out, force: false }, [`${token}\n`], output);
        } catch (error) {
          // Nobody has it: it must not be good.
          await keystead.tokens.revoke(made.id);
          throw error;
        }
        await output.result({ ...made, out }, () => formatTable([made], columns));
      }),
    );
  tokens
    .command("list")
    .description("List tokens, without their secrets.")
    .addHelpText("after", examples("keystead tokens list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.tokens.list();
        await output.result(found, () => (found.length === 0 ? "no tokens" : formatTable(found, columns)));
      }),
    );
  tokens
    .command("revoke")
    .description("End a token, and those that were made by it.")
    .argument("<token>", "id of a token (never the token itself)")
    .addHelpText("after", examples("keystead tokens revoke a7f2qdk5m3xw2b4c"))
    .action((id: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const revoked = await keystead.tokens.revoke(id);
        await output.result(revoked, () => formatTable([revoked], columns));
      }),
    );
}

const columns: readonly TableColumn<TokenInfo>[] = [
  { title: "token", cell: ({ id }) => id },
  { title: "name", cell: ({ name }) => name },
  { title: "state", cell: ({ state }) => state },
  { title: "roles", cell: ({ roles }) => roles.join(" ") },
  { title: "made by", cell: ({ createdBy }) => createdBy },
  { title: "ends", cell: ({ expiresAt }) => formatInstant(expiresAt) },
];
