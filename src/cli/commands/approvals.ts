import { Option, type Command } from "commander";
import type { ApprovalInfo, ApprovalState } from "../../index.ts";
import { formatInstant } from "../instants.ts";
import { examples, oneOf, reasonOption, type ReasonOptions } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";

const states: readonly ApprovalState[] = ["pending", "approved", "rejected", "used", "expired"];

/** Adds `approvals`. */
export function addApprovalCommands(program: Command): void {
  const approvals = program
    .command("approvals")
    .description("What waits for a second person.")
    .addHelpText("after", examples("keystead approvals list", "keystead approvals approve a7f2qdk5m3xw2b4c --reason seen"));
  approvals
    .command("list")
    .description("List what waits, and what was decided lately.")
    .addOption(oneOf(new Option("--state <state>", "only those"), states))
    .addHelpText("after", examples("keystead approvals list --state pending"))
    .action((flags: { readonly state?: ApprovalState }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.approvals.list(flags);
        await output.result(found, () => (found.length === 0 ? "nothing waits" : formatTable(found, columns)));
      }),
    );
  approvals
    .command("show")
    .description("Show all that is asked for.")
    .argument("<approval>", "id of an approval")
    .addHelpText("after", examples("keystead approvals show a7f2qdk5m3xw2b4c"))
    .action((id: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.approvals.show(id);
        await output.result(found, () => JSON.stringify(found, undefined, 2));
      }),
    );
  for (const [name, description] of [
    ["approve", "Approve of just this act; who asked makes the same call again."],
    ["reject", "Reject it."],
  ] as const) {
    approvals
      .command(name)
      .description(description)
      .argument("<approval>", "id of an approval")
      .addOption(reasonOption())
      .addHelpText("after", examples(`keystead approvals ${name} a7f2qdk5m3xw2b4c`))
      .action((id: string, flags: ReasonOptions, command: Command) =>
        withKeystead(command, async ({ keystead, output }) => {
          const decided = await keystead.approvals[name](id, flags);
          await output.result(decided, () => formatTable([decided], columns));
        }),
      );
  }
}

const columns: readonly TableColumn<ApprovalInfo>[] = [
  { title: "approval", cell: ({ id }) => id },
  { title: "state", cell: ({ state }) => state },
  { title: "asked by", cell: ({ requester }) => requester },
  { title: "action", cell: ({ action }) => action },
  { title: "key", cell: ({ act }) => (typeof act["key"] === "string" ? act["key"] : "") },
  { title: "ends", cell: ({ expiresAt }) => formatInstant(expiresAt) },
  { title: "decided by", cell: ({ decidedBy }) => decidedBy },
];
