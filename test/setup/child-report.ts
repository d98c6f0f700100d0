import { recordReport } from "./canary.ts";

// Imported into the processes that tests start: as they end, their diagnostic report joins what is searched for secrets.
// `watchedEnvironment` says what is left out of it. The command line is, too: tests put canaries there themselves.

function record(report: object): void {
  const { header, ...rest } = report as { readonly header: object };
  recordReport({ ...rest, header: { ...header, commandLine: undefined } });
}

process.once("exit", () => {
  record(process.report.getReport());
});
// With the message and the properties of the error.
process.once("uncaughtExceptionMonitor", (error) => {
  record(process.report.getReport(error));
});
