import type { Command } from "commander";
import type { KeysteadApi } from "../../api/keystead-api.ts";
import { errorCodes } from "../../errors.ts";
import type { AuditCount, AuditCounts, AuditFinding, ExportSummary } from "../../index.ts";
import { parsePastInstant } from "../instants.ts";
import { examples, repeatable } from "../options.ts";
import { outputOf } from "../output.ts";
import { readPublicKeys } from "../public-keys.ts";
import { withKeystead, withLocalKeystead } from "../session.ts";
import { formatFacts, formatTable, type TableColumn } from "../table.ts";

interface RangeFlags {
  readonly since?: string;
  readonly until?: string;
}

/** Adds what writes and reads files of the audit. */
export function addAuditFileCommands(audit: Command): void {
  addExport(audit);
  addReport(audit);
  addArchive(audit);
}

function addExport(audit: Command): void {
  audit
    .command("export")
    .description("Write the audit to a file that anybody can verify without the store: JSON lines, signed.")
    .requiredOption("--out <file>", "where to; - for stdout")
    .option("--since <date>", "only from this time on: 2027-01-31, 2027-01-31T12:00:00Z, or how long ago: 12h, 90d")
    .option("--until <date>", "only before this time")
    .option("--force", "replace the file")
    .addHelpText(
      "after",
      examples("keystead audit export --out audit.jsonl", "keystead audit verify --export audit.jsonl --pinned-key audit.pem"),
    )
    .action(({ out, force, ...range }: RangeFlags & { readonly out: string; readonly force?: boolean }, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        const { assertWritable, writeData } = await import("../data-streams.ts");
        await assertWritable({ out, force }, "text");
        const { chunks, summary } = exporting(keystead, readRange(range, clock.now()));
        await writeData({ out, force }, chunks, output);
        const done = await summary;
        if (out === "-") output.note(`the closing checkpoint is ${done.closing}`);
        else await output.result(done, () => formatFacts({ ...done }));
      }),
    );
}

/** The bytes of an export as they come, and what it says at the end. */
function exporting(
  keystead: KeysteadApi,
  range: { readonly since?: Date; readonly until?: Date },
): { readonly chunks: AsyncIterable<Uint8Array>; readonly summary: Promise<ExportSummary> } {
  const { readable, writable } = new TransformStream<Buffer, Buffer>();
  const writer = writable.getWriter();
  const summary = keystead.audit.export(range, (chunk) => writer.write(chunk));
  summary
    .then(
      () => writer.close(),
      (error: unknown) => writer.abort(error),
    )
    .catch(() => undefined);
  return { chunks: readable, summary };
}

function readRange({ since, until }: RangeFlags, now: number): { since?: Date; until?: Date } {
  return {
    ...(since !== undefined && { since: parsePastInstant(since, now) }),
    ...(until !== undefined && { until: parsePastInstant(until, now) }),
  };
}

interface ReportFlags {
  readonly from?: string;
  readonly to?: string;
  readonly file: readonly string[];
}

function addReport(audit: Command): void {
  audit
    .command("report")
    .description("Count the records of some time by action, key, principal and outcome.")
    .option("--from <date>", "only from this time on: 2027-01-31, 2027-01-31T12:00:00Z, or how long ago: 12h, 90d")
    .option("--to <date>", "only before this time")
    .addOption(repeatable("--file <file>", "count the records of a JSON-lines file instead of the store's; a bad line is counted as one"))
    .addHelpText(
      "after",
      examples(
        "keystead audit report --from 30d",
        "keystead audit report --from 2026-01-01 --to 2027-01-01 --file audit-2026.jsonl --json",
      ),
    )
    .action(async ({ from, to, file }: ReportFlags, command: Command) => {
      if (file.length === 0) {
        await withKeystead(command, async ({ keystead, output, clock }) => {
          const report = await keystead.audit.report(readPeriod(from, to, clock.now()));
          await output.result(report, () => formatReport(report));
        });
        return;
      }
      const { reportAuditFiles, systemClock } = await import("../../index.ts");
      const output = outputOf(command);
      const report = await reportAuditFiles(file, readPeriod(from, to, systemClock.now()));
      await output.result(report, () => formatReport(report));
      for (const missing of report.missing) output.note(`${missing} is not there: nothing was recorded into it`);
      if (report.badLines > 0)
        output.note("bad lines are no records: damaged, or of another program; `keystead audit verify --export` names them");
    });
}

function readPeriod(from: string | undefined, to: string | undefined, now: number): { from?: Date; to?: Date } {
  const { since, until } = readRange({ ...(from !== undefined && { since: from }), ...(to !== undefined && { until: to }) }, now);
  return { ...(since !== undefined && { from: since }), ...(until !== undefined && { to: until }) };
}

function formatReport({ records, principals, badLines, byAction, byKey, byPrincipal, byOutcome }: AuditCounts): string {
  const lists = { action: byAction, key: byKey, principal: byPrincipal, outcome: byOutcome };
  const tables = Object.entries(lists).filter(([, counts]) => counts.length > 0);
  return [
    formatFacts({ records, principals, "bad lines": badLines }),
    ...tables.map(([title, counts]) => formatTable(counts, countColumns(title))),
  ].join("\n");
}

function countColumns(title: string): readonly TableColumn<AuditCount>[] {
  return [
    { title, cell: ({ name }) => name },
    { title: "records", cell: ({ count }) => count },
  ];
}

function addArchive(audit: Command): void {
  audit
    .command("archive")
    .description("Move the oldest records into a file, which is verified before they leave the store.")
    .requiredOption("--until <date>", "records from before this time: 2027-01-31, 2027-01-31T12:00:00Z, or how long ago: 365d")
    .requiredOption("--out <file>", "where to; a file that is there is not replaced")
    .option("--reason <text>", "why, for the audit")
    .addHelpText("after", examples("keystead audit archive --until 365d --out audit-2026.jsonl"))
    .action(({ until, out, reason }: { readonly until: string; readonly out: string; readonly reason?: string }, command: Command) =>
      withLocalKeystead(command, async ({ keystead, output, clock }) => {
        const options = { until: parsePastInstant(until, clock.now()), file: out, ...(reason !== undefined && { reason }) };
        const report = await keystead.audit.archive(options);
        await output.result(report, () => formatFacts({ ...report }));
        output.note("keep the file: the store verifies only what came after it");
      }),
    );
}

/** What is verified without a store. */
export interface OfflineFlags {
  readonly export: readonly string[];
  readonly pinnedKey?: string;
  readonly witness?: string;
}

/** Verifies an export, or the files of a sink, without a store. Exit code 9 when anything was altered. */
export async function verifyOffline(
  { export: files, pinnedKey, witness }: OfflineFlags,
  command: Command,
  columns: readonly TableColumn<AuditFinding>[],
): Promise<void> {
  const { KeysteadError, readWitness, verifyAuditExport, verifyAuditFiles } = await import("../../index.ts");
  const { openSource, peek } = await import("../data-streams.ts");
  const sources = await Promise.all(files.map(async (file) => await peek(await openSource(file), exportStart.length)));
  const isExport = sources.some(({ head }) => head.toString("latin1") === exportStart);
  const pinnedKeys = pinnedKey === undefined ? undefined : await readPublicKeys(pinnedKey);
  const [first] = sources;
  if (first === undefined || (isExport && sources.length > 1)) {
    throw new KeysteadError("INVALID_ARGUMENT", "one export is verified at a time; several files are those of one sink, oldest first");
  }
  if (!isExport && (pinnedKeys !== undefined || witness !== undefined)) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "the files of a sink carry no signatures: verify an export against pinned keys and a witness",
    );
  }
  const { findings, ...facts } = isExport
    ? await verifyAuditExport(first.source.chunks, {
        ...(pinnedKeys !== undefined && { pinnedKeys }),
        ...(witness !== undefined && { witness: await readWitness(witness) }),
      })
    : await verifyAuditFiles(sources.map(({ source }) => ({ name: source.name, bytes: source.chunks })));
  const output = outputOf(command);
  const whole = isExport ? "the export is whole" : "the chains in these files are unbroken";
  await output.result(
    { findings, ...facts },
    () => `${findings.length === 0 ? `${whole}\n` : formatTable(findings, columns)}\n${formatFacts({ ...facts })}`,
  );
  if (isExport && pinnedKeys === undefined)
    output.note("no key is pinned: whoever made the file may have signed it, too; give --pinned-key");
  if (findings.length > 0) process.exitCode = errorCodes.AUDIT_TAMPERED.exit;
}

const exportStart = '{"type":"export"';
