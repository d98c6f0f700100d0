import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { LogOutput } from "../../src/server/log-output.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

function open(): { readonly log: LogOutput; readonly file: string; readonly close: () => void } {
  const file = join(temporaryFolder(), "log");
  const descriptor = openSync(file, "w", 0o600);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  onTestFinished(close);
  return { log: new LogOutput(descriptor), file, close };
}

describe("log lines", () => {
  it("come in order, whatever their length and characters", () => {
    const { log, file } = open();
    const lines = ["a", "é", "は", "😀"].flatMap((letter) =>
      [1, 300, 21_000, 22_000, 70_000].map((length) => `${letter.repeat(length)}\n`),
    );
    for (const line of lines) log.write(line);
    log.flush();
    expect(readFileSync(file, "utf8")).toBe(lines.join(""));
  });

  it("do not wait long", async () => {
    const { log, file } = open();
    log.write("soon\n");
    expect(readFileSync(file, "utf8")).toBe("");
    await vi.waitFor(() => expect(readFileSync(file, "utf8")).toBe("soon\n"));
  });

  it("are lost, and nothing else, when nobody takes them", () => {
    const { log, close } = open();
    log.write("lost\n");
    close();
    log.flush();
    log.write("lost\n");
    log.flush();
  });
});
