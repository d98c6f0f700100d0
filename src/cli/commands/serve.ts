import { type Command, Option } from "commander";
import { examples, wholeNumber } from "../options.ts";
import { outputOf } from "../output.ts";

interface ServeFlags {
  readonly data?: string;
  readonly host?: string;
  readonly init?: boolean;
  readonly port?: number;
  readonly tokenFile?: string;
  readonly workers?: number;
}

/** Adds `serve`. */
export function addServeCommand(program: Command): void {
  program
    .command("serve")
    .description("Serve a data folder over HTTP. Settings stand under server in keystead.json; options stand above them.")
    .option("--data <folder>", "data folder; the same as --dir")
    .option("--host <address>", "address to listen on (default: 127.0.0.1)")
    .addOption(new Option("--port <number>", "port to listen on; 0 takes any that is free (default: 8400)").argParser(wholeNumber(0)))
    .addOption(new Option("--workers <number>", "processes that serve (default: 1)").argParser(wholeNumber(1)))
    .option("--token-file <file>", "make a token for an administrator, good for an hour, and write it to a file")
    .option("--init", "make the data folder when there is none")
    .addHelpText(
      "after",
      examples(
        "keystead serve",
        "keystead serve --init --data ./keystead-data --port 8400 --token-file ./token",
        "keystead serve --workers 4",
        "# from a checkout",
        "npm start -- --data ./keystead-data --port 8400 --token-file ./token",
      ),
    )
    .action(serve);
}

async function serve({ data, init = false, tokenFile, host, port, workers }: ServeFlags, command: Command): Promise<void> {
  const { folderOf } = await import("../data-folder.ts");
  const { runServe } = await import("../serve/run-serve.ts");
  const { welcomeText } = await import("../serve/welcome.ts");
  const output = outputOf(command);
  const folder = data ?? folderOf(command);
  await runServe({
    folder,
    init,
    tokenFile,
    given: { ...(host !== undefined && { host }), ...(port !== undefined && { port }), ...(workers !== undefined && { workers }) },
    hasTerminal: process.stdout.isTTY && !output.json,
    onReady: ({ url, token, settings, recordsOnStdout }) =>
      // What is not for a terminal never has the token in it.
      output[recordsOnStdout ? "announce" : "result"](
        { url, folder, workers: settings.workers, ...(token.kind === "written" && { tokenFile: token.file }) },
        () => welcomeText({ url, folder, workers: settings.workers, token, isSecure: settings.tls !== undefined }),
      ),
  });
}
