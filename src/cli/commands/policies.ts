import { Argument, type Command } from "commander";
import type { Explanation, PolicyInfo, PolicyInput, RoleInfo } from "../../index.ts";
import { parseInstant } from "../instants.ts";
import { examples, oneOf, repeatable } from "../options.ts";
import { readWindow } from "../policy-window.ts";
import { withKeystead } from "../session.ts";
import { formatTable, type TableColumn } from "../table.ts";

interface PolicyFlags {
  readonly key: readonly string[];
  readonly purpose: readonly string[];
  readonly dataset: readonly string[];
  readonly context: readonly string[];
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly daily?: string;
  readonly mask?: string;
  readonly description?: string;
}

interface ExplainFlags {
  readonly purpose?: string;
  readonly dataset?: string;
  readonly context: readonly string[];
  readonly also: readonly string[];
}

const effects: readonly PolicyInput["effect"][] = ["allow", "deny", "approve"];
const subjectHelp = "os-user:NAME, oidc:ISSUER:SUBJECT, token:ID, role:NAME, claim:NAME=VALUE, group:NUMBER or *";
const actionHelp = "actions: data.encrypt, keys.*, *.list, *";

/** Adds `policy` and `roles`. */
export function addPolicyCommands(program: Command): void {
  const policy = program
    .command("policy")
    .description("Who may do what: nothing is allowed that no policy or role allows, and deny wins.")
    .addHelpText(
      "after",
      examples(
        "keystead policy add allow os-user:anna data.encrypt --key 'payroll/**'",
        "keystead policy explain os-user:anna data.decrypt payroll/iban",
      ),
    );
  withScope(policy.command("add").description("Make a policy. `approve` asks for a second person before what is allowed."))
    .addHelpText(
      "after",
      examples(
        "keystead policy add deny '*' data.decrypt --purpose medical",
        "keystead policy add approve '*' keys.destroy 'policies.*'",
        "keystead policy add allow role:clerk data.reveal --context column=ssn --mask '***-**-{last:4}'",
      ),
    )
    .action((effect: PolicyInput["effect"], subject: string, actions: string[], flags: PolicyFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        const made = await keystead.policies.create(inputOf({ effect, subject, actions }, flags, clock.now()));
        await output.result(made, () => formatTable([made], columns));
      }),
    );
  policy
    .command("list")
    .description("List policies.")
    .addHelpText("after", examples("keystead policy list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.policies.list();
        await output.result(found, () =>
          found.length === 0 ? "no policies; `keystead roles list` shows the roles" : formatTable(found, columns),
        );
      }),
    );
  policy
    .command("show")
    .description("Show a policy.")
    .argument("<policy>", "id of a policy")
    .addHelpText("after", examples("keystead policy show a7f2qdk5m3xw2b4c"))
    .action((id: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.policies.show(id);
        await output.result(found, () => JSON.stringify(found, undefined, 2));
      }),
    );
  withScope(policy.command("set").description("Replace what a policy says."), "<policy>")
    .addHelpText("after", examples("keystead policy set a7f2qdk5m3xw2b4c allow role:payroll data.encrypt --key 'payroll/**'"))
    .action((id: string, effect: PolicyInput["effect"], subject: string, actions: string[], flags: PolicyFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        const changed = await keystead.policies.set(id, inputOf({ effect, subject, actions }, flags, clock.now()));
        await output.result(changed, () => formatTable([changed], columns));
      }),
    );
  policy
    .command("remove")
    .description("Remove a policy.")
    .argument("<policy>", "id of a policy")
    .addHelpText("after", examples("keystead policy remove a7f2qdk5m3xw2b4c"))
    .action((id: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        await keystead.policies.remove(id);
        await output.result({ removed: id }, () => `removed ${id}`);
      }),
    );
  policy
    .command("explain")
    .description("Say whether somebody may do something, and why.")
    .argument("<principal>", subjectHelp)
    .argument("<action>", "such as data.decrypt")
    .argument("[key]", "name or alias of a key")
    .option("--purpose <purpose>", "purpose that the act is on")
    .option("--dataset <dataset>", "dataset that the act is on")
    .addOption(repeatable("--context <name=value>", "pair of the context"))
    .addOption(repeatable("--also <subject>", "what the principal is besides: claim:NAME=VALUE, group:NUMBER, role:NAME"))
    .addHelpText("after", examples("keystead policy explain os-user:anna data.decrypt pii-email"))
    .action((principal: string, action: string, key: string | undefined, flags: ExplainFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const { parsePairs } = await import("../options.ts");
        const { context, ...rest } = flags;
        const pairs = context.length > 0 && { context: parsePairs(context, "context") };
        const found = await keystead.policies.explain(principal, action, { ...rest, ...pairs, ...(key !== undefined && { key }) });
        await output.result(found, () => explanation(found));
      }),
    );
  program
    .command("roles")
    .description("Roles: those of Keystead, and those that policies speak of.")
    .addHelpText("after", examples("keystead roles list"))
    .command("list")
    .description("List roles.")
    .addHelpText("after", examples("keystead roles list --json"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.policies.roles();
        await output.result(found, () => formatTable(found, roleColumns));
      }),
    );
}

function withScope(command: Command, ...before: readonly string[]): Command {
  for (const argument of before) command.argument(argument, "id of a policy");
  return command
    .addArgument(oneOf(new Argument("<effect>", "what it does"), effects))
    .argument("<subject>", subjectHelp)
    .argument("<actions...>", actionHelp)
    .addOption(repeatable("--key <pattern>", "only these keys: acme/* one level, acme/** all below"))
    .addOption(repeatable("--purpose <pattern>", "only keys of these purposes"))
    .addOption(repeatable("--dataset <pattern>", "only these datasets"))
    .addOption(repeatable("--context <name=value>", "only in this context; the same name again: or this value"))
    .option("--not-before <date>", "from when: 2027-01-31, or 90d from now")
    .option("--not-after <date>", "until when: 2027-01-31, or 90d from now")
    .option("--daily <window>", "when, in UTC: 08:00-18:00 or mon,tue,fri@08:00-18:00")
    .option("--mask <mask>", "of one that allows data.reveal alone: show no more than this, such as '***-**-{last:4}'")
    .option("--description <text>", "what it is for");
}

function inputOf(base: Pick<PolicyInput, "effect" | "subject" | "actions">, flags: PolicyFlags, now: number): PolicyInput {
  const { key, purpose, dataset, notBefore, notAfter, daily, mask, description } = flags;
  const context: Record<string, string[]> = {};
  for (const pair of flags.context) {
    const [name = "", ...value] = pair.split("=");
    context[name] = [...(context[name] ?? []), value.join("=")];
  }
  return {
    ...base,
    ...(key.length > 0 && { keys: key }),
    ...(purpose.length > 0 && { purposes: purpose }),
    ...(dataset.length > 0 && { datasets: dataset }),
    ...(flags.context.length > 0 && { context }),
    ...(notBefore !== undefined && { notBefore: parseInstant(notBefore, now).toISOString() }),
    ...(notAfter !== undefined && { notAfter: parseInstant(notAfter, now).toISOString() }),
    ...(daily !== undefined && { daily: readWindow(daily) }),
    ...(mask !== undefined && { mask }),
    ...(description !== undefined && { description }),
  };
}

const verdicts = { allow: "allowed", deny: "denied", approve: "allowed once a second person approves", masked: "masked" } as const;

function explanation({ outcome, masked, reason, considered, missing }: Explanation): string {
  const policies = considered.map(({ policy, effect, subject, applies, why = "", mask }) => {
    const what = mask === undefined ? effect : `${effect} ${mask}`;
    const whether = applies ? "applies" : `does not apply: ${why}`;
    return `  ${what} by ${policy} for ${subject}: ${whether}`;
  });
  const without = outcome === "allow" && masked !== undefined && [`without a reason: ${masked.mask} by policy ${masked.policy}`];
  const note = missing === undefined ? [] : [`note: ${missing}`];
  return [`${verdicts[outcome]}: ${reason}`, ...(without || []), ...note, ...policies].join("\n");
}

function limits({ keys, purposes, datasets, context, notBefore, notAfter, daily, mask }: PolicyInfo): string {
  const parts = [
    keys && `keys ${keys.join(" ")}`,
    purposes && `purposes ${purposes.join(" ")}`,
    datasets && `datasets ${datasets.join(" ")}`,
    context &&
      Object.entries(context)
        .map(([name, values]) => `${name}=${values.join("|")}`)
        .join(" "),
    notBefore && `from ${notBefore}`,
    notAfter && `until ${notAfter}`,
    daily && `${daily.days === undefined ? "" : `${daily.days.join(",")}@`}${daily.from}-${daily.to}`,
    mask && `masked ${mask}`,
  ];
  return parts.filter((part) => part !== undefined).join("; ");
}

const columns: readonly TableColumn<PolicyInfo>[] = [
  { title: "policy", cell: ({ id }) => id },
  { title: "effect", cell: ({ effect }) => effect },
  { title: "subject", cell: ({ subject }) => subject },
  { title: "actions", cell: ({ actions }) => actions.join(" ") },
  { title: "only", cell: limits },
  { title: "description", cell: ({ description }) => description },
];

const roleColumns: readonly TableColumn<RoleInfo>[] = [
  { title: "role", cell: ({ name }) => name },
  { title: "what it is for", cell: ({ does }) => does },
  { title: "policies", cell: ({ policies }) => policies.join(" ") },
];
