import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect, stripVTControlCharacters } from "node:util";
import { canaries, testRunFiles } from "./canary.ts";

/** A secret and how it is called in messages; its value is never in one. */
export interface NamedSecret {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A place where a secret shows. */
export interface Leak {
  readonly secret: string;
  /** Where it was found, as given to {@link findLeaks}. */
  readonly source: string;
  /** Text before the secret, so that the place can be found without repeating the secret. */
  readonly before: string;
}

/** Base64 of the bytes wherever they begin in a longer text: the characters that depend on their neighbours are left out. */
function base64Forms(bytes: Buffer, encoding: "base64" | "base64url"): string[] {
  return [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString(encoding);
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
  });
}

function withoutSpace(text: string): string {
  return text.replace(/\s+/g, "");
}

/** Every text that shows the bytes: UTF-8 with its escapes, hex, base64, lists of numbers. White space is left out. */
function formsOf(bytes: Buffer): string[] {
  const hex = bytes.toString("hex");
  const forms = [hex, hex.toUpperCase(), bytes.join(","), ...base64Forms(bytes, "base64"), ...base64Forms(bytes, "base64url")];
  const text = bytes.toString("utf8");
  if (Buffer.from(text).equals(bytes)) {
    forms.push(text, JSON.stringify(text).slice(1, -1), inspect(text).slice(1, -1), encodeURIComponent(text));
  }
  return [...new Set(forms.map(withoutSpace))];
}

/** Length of the beginnings by which forms are looked up: no form of a secret worth searching is shorter. */
const prefixLength = 4;
const contextLength = 60;

/** Finds each secret, in every form, in the texts; one leak per secret and source. */
export function findLeaks(sources: Readonly<Record<string, string>>, secrets: readonly NamedSecret[]): Leak[] {
  const byPrefix = new Map<string, { form: string; name: string }[]>();
  for (const { name, bytes } of secrets) {
    for (const form of formsOf(bytes)) {
      const prefix = form.slice(0, prefixLength);
      byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), { form, name }]);
    }
  }
  const leaks = new Map<string, Leak>();
  for (const [source, raw] of Object.entries(sources)) {
    const text = withoutSpace(stripVTControlCharacters(raw));
    for (let at = 0; at + prefixLength <= text.length; at += 1) {
      for (const { form, name } of byPrefix.get(text.slice(at, at + prefixLength)) ?? []) {
        if (!text.startsWith(form, at)) continue;
        const leak = { secret: name, source, before: text.slice(Math.max(0, at - contextLength), at) };
        if (!leaks.has(`${source} ${name}`)) leaks.set(`${source} ${name}`, leak);
      }
    }
  }
  return [...leaks.values()];
}

/**
 * Searches what a test run left in its folder, and its log, for the canaries and the registered secrets.
 * @returns one line per secret and place, without the secret; empty is good
 */
export function searchTestRun(folder: string, log: string): string[] {
  const read = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");
  const registered = read(join(folder, testRunFiles.secrets)).split("\n").filter(Boolean);
  const secrets = [
    ...Object.entries(canaries).map(([name, { bytes }]) => ({ name: `canary ${name}`, bytes })),
    ...[...new Set(registered)].map((hex, index) => ({ name: `registered secret ${index + 1}`, bytes: Buffer.from(hex, "hex") })),
  ];
  const reports = read(join(folder, testRunFiles.reports));
  if (reports === "") return ["no worker left a diagnostic report"];
  const sources = {
    "the output": read(log),
    "a recorded output": read(join(folder, testRunFiles.outputs)),
    "a diagnostic report": reports,
  };
  return findLeaks(sources, secrets).map(({ secret, source, before }) => `${secret} is in ${source}, after "${before}"`);
}
