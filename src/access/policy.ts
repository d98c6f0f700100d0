import { z } from "zod";
import { maxContextPairs } from "../crypto/limits.ts";
import { KeysteadError } from "../errors.ts";
import { checkFields } from "../field-problem.ts";
import { actionNames, isOnData, revealAction } from "./actions.ts";
import { maskProblem } from "./mask.ts";
import { actionPatternProblem, matchesAction, namePatternProblem } from "./patterns.ts";
import { subjectProblem } from "./subject.ts";

/** What a policy does: allows, refuses whatever else allows, or asks for a second person before what is allowed. */
export const policyEffects = ["allow", "deny", "approve"] as const;

/** Days of the week, as windows name them. */
const weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;

function checked(problemOf: (text: string) => string | undefined): z.ZodType<string, string> {
  return z.string().check((context) => {
    const message = problemOf(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", input: context.value, message });
  });
}

const names = z.array(checked(namePatternProblem)).min(1).max(100).readonly();
const minute = z.string().regex(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, "must be a time of day in UTC, 08:00 to 24:00");
const short = (max: number): z.ZodType<string, string> =>
  z
    .string()
    .max(max)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "must have no control characters");

/** Where and when a policy holds. What is absent does not limit it. */
const scopeSchema = z.strictObject({
  /** Patterns of key names. A policy that names keys speaks of acts on one key only; the same goes for purposes and datasets. */
  keys: z.exactOptional(names),
  purposes: z.exactOptional(names),
  datasets: z.exactOptional(names),
  /** Values that pairs of the context may have. */
  context: z.exactOptional(
    z
      .record(short(255), z.array(short(4096)).min(1).max(100).readonly())
      .refine((pairs) => Object.keys(pairs).length >= 1 && Object.keys(pairs).length <= maxContextPairs, "must have 1 to 64 pairs")
      .readonly(),
  ),
  /** From when, in milliseconds since 1970. */
  notBefore: z.exactOptional(z.int()),
  /** Until when: that moment is outside. */
  notAfter: z.exactOptional(z.int()),
  /** When in the week, in UTC. Days that are absent: all. */
  daily: z.exactOptional(
    z
      .strictObject({ days: z.exactOptional(z.array(z.enum(weekdays)).min(1).readonly()), from: minute, to: minute })
      .refine(({ from, to }) => from < to, "must begin before it ends; two policies cover a night")
      .readonly(),
  ),
  /** What alone is shown of a field to whom it allows `data.reveal`. */
  mask: z.exactOptional(checked(maskProblem)),
});

/** ISO 8601. */
const moment = z.iso
  .datetime({ offset: true, error: "must be an instant such as 2027-01-31T08:00:00Z" })
  .transform((text) => Date.parse(text));

const policySchema = z.strictObject({
  effect: z.enum(policyEffects),
  subject: checked(subjectProblem),
  actions: z.array(checked(actionPatternProblem)).min(1).max(100).readonly(),
  ...scopeSchema.shape,
  notBefore: z.exactOptional(moment),
  notAfter: z.exactOptional(moment),
  description: z.exactOptional(short(500)),
});

/** Where and when a policy holds. */
export type PolicyScope = Readonly<z.output<typeof scopeSchema>>;

/** A policy, as a caller describes it. */
export type PolicyInput = Readonly<z.input<typeof policySchema>>;

/** A policy: who may, or may not, do what to what. */
export interface Policy {
  readonly id: string;
  readonly effect: (typeof policyEffects)[number];
  /** Whom it speaks of: `os-user:anna`, `role:encryptor`, `claim:realm_access.roles=payroll`, `group:1000`, `*`. */
  readonly subject: string;
  readonly actions: readonly string[];
  readonly scope: PolicyScope;
  readonly description: string;
}

/** Checks what somebody wrote. @throws KeysteadError `INVALID_ARGUMENT` naming the field */
export function parsePolicy(input: unknown): Omit<Policy, "id"> {
  const parsed = checkFields("the policy", policySchema, input);
  if (parsed.problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `policy: ${parsed.problem}`);
  const { effect, subject, actions, description = "", ...scope } = parsed.data;
  if (effect === "approve") assertCanWait(actions);
  if (scope.mask !== undefined) assertMaskable(effect, actions);
  if (scope.notBefore !== undefined && scope.notAfter !== undefined && scope.notBefore >= scope.notAfter)
    throw new KeysteadError("INVALID_ARGUMENT", "policy: notAfter must come after notBefore");
  return { effect, subject, actions, scope, description };
}

/** @throws KeysteadError `INVALID_ARGUMENT` when a pattern fits an operation on data */
function assertCanWait(patterns: readonly string[]): void {
  const immediate = actionNames.find((action) => isOnData(action) && patterns.some((pattern) => matchesAction(pattern, action)));
  if (immediate === undefined) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `policy: ${immediate} can't wait for a second person, nor can any operation on data: name what is to wait, such as keys.destroy or ` +
      "policies.*, and bind operations on data by allow and deny",
  );
}

/** @throws KeysteadError `INVALID_ARGUMENT` when a policy is about anything else than allowing to reveal */
function assertMaskable(effect: Policy["effect"], actions: readonly string[]): void {
  if (effect === "allow" && actions.length === 1 && actions[0] === revealAction) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `policy: only one that allows ${revealAction}, and nothing else, has a mask; make a policy of its own for it`,
  );
}

/** Reads a stored scope; undefined when it is none that this version knows. */
export function readScope(value: unknown): PolicyScope | undefined {
  return scopeSchema.safeParse(value).data;
}

/** The context conditions fit. */
export function contextFits(wanted: NonNullable<PolicyScope["context"]>, context: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, values]) => Object.hasOwn(context, name) && values.includes(context[name] ?? ""));
}

/** True within a policy's dates and its window. */
export function timeFits({ notBefore, notAfter, daily }: PolicyScope, now: number): boolean {
  if (notBefore !== undefined && now < notBefore) return false;
  if (notAfter !== undefined && now >= notAfter) return false;
  if (daily === undefined) return true;
  const date = new Date(now);
  const time = date.toISOString().slice(11, 16);
  const day = weekdays[date.getUTCDay()];
  return time >= daily.from && time < daily.to && (daily.days === undefined || daily.days.some((named) => named === day));
}
