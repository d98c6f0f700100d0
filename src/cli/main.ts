#!/usr/bin/env node
import { nodeVersionProblem, reportOldNode } from "./node-version.ts";

const args = process.argv.slice(2);
const problem = nodeVersionProblem(process.versions.node);
// Imported only now: an old Node fails to load it, with an error that helps nobody.
if (problem === undefined) await import("./run.ts").then(({ run }) => run(args));
else process.exitCode = reportOldNode(problem, args.includes("--json"));
