import { expect, it } from "vitest";
import { startChild } from "../support/child.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const program = new URL("support/supervising-process.ts", import.meta.url);

it.each([
  { how: "gone", why: "the program is gone", problem: /ENOENT.*memory and processes left/ },
  { how: "none", why: "the attempt throws", problem: /cannot be empty.*memory and processes left/ },
])("a worker that the system does not start is started later: $why", async ({ how, problem }) => {
  const child = startChild(program, [temporaryFolder(), how]);
  const lines = (await child.finish()).map((line): unknown => JSON.parse(line));
  const refused = { process: 0, code: null, signal: null, problem: expect.stringMatching(problem) as string };
  expect(lines).toMatchObject([
    { signal: "SIGKILL", pause: 100 },
    { ...refused, pause: 200 },
    { ...refused, pause: 400 },
  ]);
});
