import type { Command } from "commander";
import { examples } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatFacts } from "../table.ts";

/** Adds `whoami`. */
export function addWhoamiCommand(program: Command): void {
  program
    .command("whoami")
    .description("Say whom commands are taken for: the principal that policies name, its roles, and what its token is good for at most.")
    .addHelpText("after", examples("keystead whoami", "keystead whoami --json"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const caller = await keystead.whoami();
        const { principal, name, roles, scope } = caller;
        await output.result(caller, () =>
          formatFacts({
            principal,
            name,
            roles: roles.length === 0 ? "none" : roles.join(" "),
            "only actions": scope.actions?.join(" "),
            "only keys": scope.keys?.join(" "),
            "only purposes": scope.purposes?.join(" "),
          }),
        );
      }),
    );
}
