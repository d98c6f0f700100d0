import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { errorCodes, KeysteadError } from "../../errors.ts";
import type { AuditFilter, AuditFinding, AuditRecordView } from "../../index.ts";
import { formatInstant, parsePastInstant } from "../instants.ts";
import { examples, wholeNumber } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatCount, formatFacts, formatTable, type TableColumn } from "../table.ts";

interface ShowFlags {
  readonly limit: number;
  readonly all?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly action?: string;
  readonly key?: string;
  readonly dataset?: string;
  readonly failed?: boolean;
}

/** Adds `audit`. */
export function addAuditCommands(program: Command): void {
  const audit = program.command("audit").description("Who did what, and proof that the record is whole.");
  audit
    .command("verify")
    .description("Check every chain, checkpoint and signature of the audit. Exit code 9 when anything was altered.")
    .option("--pinned-key <file>", "public key of the only signer that may have signed: SPKI, DER or PEM, kept elsewhere than the store")
    .addHelpText("after", examples("keystead audit verify", "keystead audit verify --pinned-key /etc/keystead/audit.pem"))
    .action(({ pinnedKey }: { readonly pinnedKey?: string }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const report = await keystead.audit.verify(pinnedKey === undefined ? {} : { pinnedKey: await readPublicKey(pinnedKey) });
        const { findings, writers, records, checkpoints, unshipped, uncovered, torn, newest } = report;
        await output.result(report, () => {
          const facts = formatFacts({ writers, records, checkpoints, unshipped, uncovered, torn, newest });
          return `${findings.length === 0 ? "the audit is whole\n" : formatTable(findings, findingColumns)}\n${facts}`;
        });
        if (findings.length > 0) process.exitCode = errorCodes.AUDIT_TAMPERED.exit;
      }),
    );
  audit
    .command("show")
    .description("Show the newest records, oldest first.")
    .option("--limit <records>", "how many", wholeNumber(1), 100)
    .addOption(new Option("--all", "all of them").conflicts("limit"))
    .option("--since <date>", "only from this time on: 2027-01-31, 2027-01-31T12:00:00Z, or how long ago: 12h, 90d")
    .option("--until <date>", "only before this time")
    .option("--action <action>", "only of this action (keys.rotate), or of all that begin with it (keys)")
    .option("--key <key>", "only about this key")
    .option("--dataset <name>", "only about this dataset")
    .option("--failed", "only what was denied or failed")
    .addHelpText(
      "after",
      examples(
        "keystead audit show --since 24h",
        "keystead audit show --action keys.destroy --key pii --all",
        "keystead audit show --failed --limit 20 --json",
      ),
    )
    .action((flags: ShowFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        const filter = readFilter(flags, clock.now());
        const records = await keystead.audit.show(filter);
        await output.result(records, () => formatTable(records, recordColumns));
        if (records.length === filter.limit)
          output.note(`these are the newest ${formatCount(records.length)}; --limit or --all shows more`);
      }),
    );
}

function readFilter({ all, limit, since, until, ...rest }: ShowFlags, now: number): AuditFilter {
  return {
    ...rest,
    limit: all === true ? Number.POSITIVE_INFINITY : limit,
    ...(since !== undefined && { since: parsePastInstant(since, now) }),
    ...(until !== undefined && { until: parsePastInstant(until, now) }),
  };
}

async function readPublicKey(file: string): Promise<Uint8Array> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new KeysteadError("INVALID_ARGUMENT", `the public key ${file} can't be read`, { cause });
  });
  const [, base64] = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(bytes.toString("latin1")) ?? [];
  return base64 === undefined ? bytes : Buffer.from(base64, "base64");
}

const findingColumns: readonly TableColumn<AuditFinding>[] = [
  { title: "what", cell: ({ kind }) => kind },
  {
    title: "where",
    cell: ({ writer, sequence, checkpoint }) => [writer ?? checkpoint, sequence].filter((part) => part !== undefined).join(" "),
  },
  { title: "problem", cell: ({ problem }) => problem },
];

const recordColumns: readonly TableColumn<AuditRecordView>[] = [
  { title: "time", cell: (record) => formatInstant(text(record["time"])) },
  { title: "action", cell: (record) => text(record["action"]) },
  { title: "outcome", cell: (record) => [text(record["outcome"]), text(record["code"])].filter((part) => part !== "").join(" ") },
  {
    title: "on",
    cell: (record) =>
      [record["dataset"], record["key"], record["version"]]
        .map(text)
        .filter((part) => part !== "")
        .join(" "),
  },
  { title: "by", cell: (record) => principal(record["principal"]) },
  { title: "reason", cell: (record) => text(record["reason"]) },
];

function principal(value: unknown): string {
  const fields = typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  return [text(fields["source"]), text(fields["id"])].filter((part) => part !== "").join(" ");
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
