import { object, text, textOr } from "../arguments.ts";

/** A key by name or alias, or the default key of a purpose. */
export type KeyTarget = string | { readonly purpose: string };

/** What a {@link KeyTarget} must be. */
export const keyTarget = textOr(object<Exclude<KeyTarget, string>>({ purpose: text }));
