import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { checkFields } from "../field-problem.ts";
import type { AccessScope } from "./caller.ts";
import { actionPatternProblem, namePatternProblem } from "./patterns.ts";

function patterns(problemOf: (text: string) => string | undefined): z.ZodType<readonly string[]> {
  const pattern = z.string().check((context) => {
    const message = problemOf(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", input: context.value, message });
  });
  return z.array(pattern).max(100).readonly();
}

const scopeSchema = z.strictObject({
  actions: z.exactOptional(patterns(actionPatternProblem)),
  keys: z.exactOptional(patterns(namePatternProblem)),
  purposes: z.exactOptional(patterns(namePatternProblem)),
});

/** Checks what a credential is to be good for. @throws KeysteadError `INVALID_ARGUMENT` naming the field */
export function parseCredentialScope(input: unknown): AccessScope {
  const parsed = checkFields("the scope", scopeSchema, input);
  if (parsed.problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `scope: ${parsed.problem}`);
  return parsed.data;
}

/** Reads a stored scope; undefined when it is none that this version knows. */
export function readCredentialScope(value: unknown): AccessScope | undefined {
  return scopeSchema.safeParse(value).data;
}
