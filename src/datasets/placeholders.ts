import type { ContextTemplate } from "../fields/context-template.ts";

/** Names in braces in a template, in order. */
export function placeholdersOf(template: ContextTemplate): string[] {
  return Object.values(template).flatMap((text) =>
    [...text.replaceAll(/\{\{|\}\}/g, "").matchAll(/\{([^{}]+)\}/g)].map((match) => match[1] ?? ""),
  );
}
