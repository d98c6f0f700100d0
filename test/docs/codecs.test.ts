import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { opensppOptions } from "../../src/datasets/codecs/openspp/options.ts";
import { plainAeadOptions } from "../../src/datasets/codecs/plain-aead/options.ts";
import { codecTypes } from "../../src/datasets/codecs/codec-types.ts";
import { assertCodecConfig } from "../../src/index.ts";

const page = readFileSync("docs/codecs.md", "utf8");
const configurations = [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text = ""]): unknown => JSON.parse(text));

describe("docs/codecs.md", () => {
  it("shows a configuration of every codec that is taken as it stands", () => {
    const schema = z.object({ codecs: z.record(z.string(), z.looseObject({ type: z.string() })) });
    const shown = configurations.flatMap((configuration) => Object.entries(schema.parse(configuration).codecs));
    for (const [name, config] of shown) assertCodecConfig(name, config);
    expect(shown.map(([, { type }]) => type).sort()).toEqual(Object.keys(codecTypes).sort());
  });

  it.each([
    ["plain-aead", plainAeadOptions],
    ["openspp", opensppOptions],
  ])("lists the options of %s, each once", (type, options) => {
    const section = page.slice(page.indexOf(`## \`${type}\``)).split(/^## /m)[1] ?? "";
    const listed = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, option]) => option);
    expect(listed.sort()).toEqual(Object.keys(options.shape).sort());
  });
});
