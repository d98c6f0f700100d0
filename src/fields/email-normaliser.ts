import { domainToASCII } from "node:url";
// Only this file: the whole library takes ten times as long to load.
import emailCheck from "validator/lib/isEmail.js";
import { foldCase, foldText, tidyText } from "./text-folding.ts";

/**
 * One text per e-mail address: local part with its case folded, domain as IDNA writes it in ASCII (UTS 46, lower case).
 * Dots and `+tags` stay: only the provider knows what they mean. What is no address (RFC 5321 with a public domain, as the
 * library `validator` checks it) is folded as `text` is, so that equal values still match.
 */
export function normaliseEmail(text: string): string {
  const folded = foldText(text);
  // Folding can make an address of what was none, whose result would then not normalise to itself.
  return normalisedAddress(tidyText(text)) ?? normalisedAddress(folded) ?? folded;
}

function normalisedAddress(text: string): string | undefined {
  if (!emailCheck.default(text)) return undefined;
  const at = text.lastIndexOf("@");
  const domain = domainToASCII(text.slice(at + 1));
  return domain === "" ? undefined : `${foldCase(text.slice(0, at))}@${domain}`;
}
