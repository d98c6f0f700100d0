import { type Command, Option } from "commander";
import { errorCodes, KeysteadError } from "../../errors.ts";
import type { AuditFilter, AuditFinding, AuditOutcome, AuditRecordView, CertificateFinding } from "../../index.ts";
import { formatStatement } from "../certificate-text.ts";
import { formatInstant, parsePastInstant } from "../instants.ts";
import { outputOf } from "../output.ts";
import { examples, oneOf, repeatable, wholeNumber } from "../options.ts";
import { addAuditFileCommands, type OfflineFlags, verifyOffline } from "./audit-files.ts";
import { formatPublicKey, pinnedKeyOption, readPublicKeys } from "../public-keys.ts";
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
  readonly purpose?: string;
  readonly principal?: string;
  readonly request?: string;
  readonly outcome?: AuditOutcome;
  readonly failed?: boolean;
}

/** Adds `audit`. */
export function addAuditCommands(program: Command): void {
  const audit = program
    .command("audit")
    .description("Who did what, and proof that the record is whole.")
    .addHelpText("after", examples("keystead audit show --limit 20", "keystead audit verify"));
  audit
    .command("verify")
    .description(
      "Check every chain, checkpoint, destruction certificate and signature of the audit. Exit code 9 when anything was altered.",
    )
    .addOption(pinnedKeyOption())
    .addOption(repeatable("--export <file>", "verify an export instead, or the files of a sink, oldest first; no store is needed"))
    .option("--witness <file>", "a copy of audit/checkpoint.json, which the export must not be older than")
    .addHelpText(
      "after",
      examples(
        "keystead audit verify",
        "keystead audit verify --pinned-key /etc/keystead/audit.pem",
        "keystead audit verify --export audit.jsonl --pinned-key audit.pem --witness checkpoint.json",
      ),
    )
    .action(async (flags: OfflineFlags, command: Command) => {
      const { pinnedKey, witness } = flags;
      if (flags.export.length > 0) {
        await verifyOffline(flags, command, findingColumns);
        return;
      }
      if (witness !== undefined) {
        throw new KeysteadError("INVALID_ARGUMENT", "--witness is for --export; a store is always held against its own witness");
      }
      await withKeystead(command, async ({ keystead, output }) => {
        const report = await keystead.audit.verify(pinnedKey === undefined ? {} : { pinnedKeys: await readPublicKeys(pinnedKey) });
        const { findings, writers, records, archived, checkpoints, certificates, unshipped, uncovered, torn, newest } = report;
        await output.result(report, () => {
          const facts = formatFacts({ writers, records, archived, checkpoints, certificates, unshipped, uncovered, torn, newest });
          return `${findings.length === 0 ? "the audit is whole\n" : formatTable(findings, findingColumns)}\n${facts}`;
        });
        if (findings.length > 0) process.exitCode = errorCodes.AUDIT_TAMPERED.exit;
      });
    });
  addAuditFileCommands(audit);
  addPublicKey(audit);
  addVerifyCertificate(audit);
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
    .option("--purpose <purpose>", "only about keys of this purpose")
    .option("--principal <principal>", "only by this principal: os-user:anna")
    .option("--request <id>", "only of the request with this id")
    .addOption(oneOf(new Option("--outcome <outcome>", "only of this outcome"), ["allowed", "denied", "failed"]))
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
        // Nothing about a name that never was: a slip, which an empty table would hide. Failed acts may have used it.
        if (records.length === 0 && flags.key !== undefined) await keystead.keys.show(flags.key);
        if (records.length === 0 && flags.dataset !== undefined) await keystead.datasets.show(flags.dataset);
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

function addPublicKey(audit: Command): void {
  audit
    .command("public-key")
    .description("Print the public keys that sign checkpoints and certificates, PEM. Keep them elsewhere; again after each rotation.")
    .addHelpText("after", examples("keystead audit public-key > audit.pem", "keystead audit verify --pinned-key audit.pem"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const signers = (await keystead.audit.signers()).map((signer) => ({ ...signer, publicKey: formatPublicKey(signer.publicKey) }));
        await output.result(signers, () => signers.map(({ publicKey }) => publicKey).join(""));
      }),
    );
}

function addVerifyCertificate(audit: Command): void {
  audit
    .command("verify-certificate")
    .description("Check a destruction certificate, without a store. Exit code 3 when it is not genuine.")
    .argument("<file>", "what `keystead keys certificate KEY VERSION --json` wrote; - for stdin")
    .addOption(pinnedKeyOption().makeOptionMandatory())
    .option("--store <id>", "id of the store that it must be of")
    .addHelpText("after", examples("keystead audit verify-certificate certificate.json --pinned-key audit.pem"))
    .action(async (file: string, { pinnedKey, store }: { readonly pinnedKey: string; readonly store?: string }, command: Command) => {
      const { openSource, readWhole } = await import("../data-streams.ts");
      const { verifyCertificate } = await import("../../index.ts");
      const pinnedKeys = await readPublicKeys(pinnedKey);
      const certificate = parse(await readWhole(await openSource(file)));
      const report = verifyCertificate(certificate, { pinnedKeys, ...(store !== undefined && { storeId: store }) });
      await outputOf(command).result(report, () =>
        report.statement === undefined
          ? formatTable(report.findings, certificateFindingColumns)
          : `the certificate is genuine\n${formatStatement(report.statement)}`,
      );
      if (report.findings.length > 0) process.exitCode = errorCodes.VERIFICATION_FAILED.exit;
    });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

const certificateFindingColumns: readonly TableColumn<CertificateFinding>[] = [
  { title: "what", cell: ({ kind }) => kind },
  { title: "problem", cell: ({ problem }) => problem },
];

const findingColumns: readonly TableColumn<AuditFinding>[] = [
  { title: "what", cell: ({ kind }) => kind },
  {
    title: "where",
    cell: ({ writer, sequence, checkpoint, certificate }) =>
      [writer ?? checkpoint ?? certificate, sequence].filter((part) => part !== undefined).join(" "),
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
