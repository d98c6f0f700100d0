import { Argument, type Command } from "commander";
import { examples, oneOf } from "../options.ts";
import { outputOf } from "../output.ts";

const shells = ["bash", "zsh", "fish"] as const;

/** Adds `completion`, which prints a script for a shell, and the hidden `complete`, which that script calls. */
export function addCompletionCommands(program: Command): void {
  program
    .command("completion")
    .description("Print a script that completes commands and options in your shell.")
    .addArgument(oneOf(new Argument("<shell>", "your shell"), shells))
    .addHelpText(
      "after",
      examples(
        "keystead completion bash > ~/.local/share/bash-completion/completions/keystead",
        'keystead completion zsh > "${fpath[1]}/_keystead"',
        "keystead completion fish > ~/.config/fish/completions/keystead.fish",
      ),
    )
    .action(async (shell: (typeof shells)[number], _flags: unknown, command: Command) => {
      const { completionScripts } = await import("../completion-scripts.ts");
      await outputOf(command).data(completionScripts[shell]);
    });
  program
    .command("complete", { hidden: true })
    .argument("[words...]", "the command line up to the cursor")
    .action(async (words: string[], _flags: unknown, command: Command) => {
      const { completionsOf } = await import("../completions.ts");
      const found = completionsOf(program, words);
      await outputOf(command).data(found.map(({ value, description }) => `${value}\t${description}\n`).join(""));
    });
}
