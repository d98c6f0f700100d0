import type { z } from "zod";
import { KeysteadError } from "../../errors.ts";
import { checkFields } from "../../field-problem.ts";
import type { Codec, CodecOpener, CodecSurroundings } from "../codec.ts";
import { opensppOptions } from "./openspp/options.ts";
import { plainAeadOptions } from "./plain-aead/options.ts";

/** A codec whose options were checked, and whose keys are not read yet. */
export type ConfiguredCodec = (surroundings: CodecSurroundings) => Promise<Codec>;

interface CodecType<Input> {
  /** What the options may be. */
  readonly options: z.ZodType<unknown, Input>;
  /** @throws KeysteadError `INVALID_ARGUMENT` naming the option */
  readonly configure: (what: string, input: unknown) => ConfiguredCodec;
}

function codecType<Output, Input>(options: z.ZodType<Output, Input>, load: () => Promise<CodecOpener<Output>>): CodecType<Input> {
  return {
    options,
    configure: (what, input) => {
      const parsed = checkFields("its options", options, input);
      if (parsed.problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `${what}: ${parsed.problem}`);
      return async (surroundings) => (await load())(parsed.data, surroundings);
    },
  };
}

/** Every codec there is, by the `type` of its options. What opens it is loaded when it is first used. */
export const codecTypes = {
  "plain-aead": codecType(plainAeadOptions, async () => (await import("./plain-aead/open.ts")).openPlainAead),
  openspp: codecType(opensppOptions, async () => (await import("./openspp/open.ts")).openOpenspp),
} as const;

type CodecTypes = typeof codecTypes;

/** A codec as the local configuration describes it: its `type`, and the options of that. */
export type CodecConfig = {
  readonly [Type in keyof CodecTypes]: { readonly type: Type } & Readonly<z.input<CodecTypes[Type]["options"]>>;
}[keyof CodecTypes];
