import type { Command } from "commander";
import { KeysteadError } from "../../errors.ts";
import type { RouteInfo } from "../../index.ts";
import { examples } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";

interface RouteFlags {
  readonly purpose?: string;
  readonly prefix?: string;
  readonly default?: boolean;
}

/** Adds `routes`. */
export function addRouteCommands(program: Command): void {
  const routes = program
    .command("routes")
    .description("Which KEK wraps the keys of which purposes and names.")
    .addHelpText("after", examples("keystead routes list", "keystead routes set local:medical --purpose medical"));
  routes
    .command("list")
    .description("List routes.")
    .addHelpText("after", examples("keystead routes list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.routes.list();
        await output.result(found, () => formatTable(found, columns));
      }),
    );
  routes
    .command("set")
    .description("Send new keys to a KEK. Keys that exist stay where they are until `keystead kek rotate`.")
    .argument("<kek>", "URI of a KEK: local:NAME")
    .option("--purpose <purpose>", "keys of this purpose")
    .option("--prefix <prefix>", "keys whose name begins with these whole segments")
    .option("--default", "all other keys")
    .addHelpText("after", examples("keystead routes set local:medical --purpose medical", "keystead routes set local:main --default"))
    .action((kek: string, flags: RouteFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const { purpose, prefix } = flags;
        const selective = purpose !== undefined || prefix !== undefined;
        if (selective === (flags.default === true)) {
          throw new KeysteadError("INVALID_ARGUMENT", "say which keys: --purpose, --prefix or both, or --default alone");
        }
        const route = await keystead.routes.set(
          { ...(purpose !== undefined && { purpose }), ...(prefix !== undefined && { namePrefix: prefix }) },
          kek,
        );
        await output.result(route, () => formatTable([route], columns));
      }),
    );
}

const columns: readonly TableColumn<RouteInfo>[] = [
  { title: "purpose", cell: ({ purpose, namePrefix }) => purpose ?? (namePrefix === undefined ? "(default)" : "any") },
  { title: "name prefix", cell: ({ namePrefix }) => namePrefix },
  { title: "kek", cell: ({ kekUri }) => kekUri },
];
