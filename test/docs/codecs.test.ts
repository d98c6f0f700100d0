import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { opensppOptions } from "../../src/datasets/codecs/openspp/options.ts";
import { plainAeadOptions } from "../../src/datasets/codecs/plain-aead/options.ts";
import { codecTypes } from "../../src/datasets/codecs/codec-types.ts";
import { assertCodecConfig } from "../../src/index.ts";

const folder = "docs/codecs";
const configSchema = z.object({ codecs: z.record(z.string(), z.looseObject({ type: z.string() })) });

describe(folder, () => {
  it("has a page of every codec", () => {
    expect(readdirSync(folder).sort()).toEqual(
      Object.keys(codecTypes)
        .map((type) => `${type}.md`)
        .sort(),
    );
  });

  describe.each([
    ["plain-aead", plainAeadOptions],
    ["openspp", opensppOptions],
  ])("%s", (type, options) => {
    const page = readFileSync(`${folder}/${type}.md`, "utf8");

    it("shows a configuration that is taken as it stands", () => {
      const blocks = [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text = ""]): unknown => JSON.parse(text));
      const shown = blocks.flatMap((block) => Object.entries(configSchema.parse(block).codecs));
      for (const [name, config] of shown) assertCodecConfig(name, config);
      expect(shown.map(([, config]) => config.type)).toEqual([type]);
    });

    it("lists its options, each once", () => {
      const listed = [...page.matchAll(/^\| `(\w+)`/gm)].map(([, option]) => option);
      expect(listed.sort()).toEqual(Object.keys(options.shape).sort());
    });
  });
});
