import type { SecretBytes } from "../../../crypto/secret-bytes.ts";
import type { CodecOpener } from "../../codec.ts";
import { AeadCodec } from "../aead-codec.ts";
import { foreignAlgorithms } from "../foreign-aead.ts";
import { loadKey } from "../key-source.ts";
import { readMessage } from "./layout.ts";
import type { PlainAeadOptions } from "./options.ts";

/** Opens the codec `plain-aead`: what a program seals with a cipher of its library and a layout of its own. */
export const openPlainAead: CodecOpener<PlainAeadOptions> = async (options, { name }) => {
  const { algorithm, aad, plaintext } = options;
  const keys: SecretBytes[] = [];
  try {
    for (const [position, source] of options.keys.entries()) {
      const what = `key ${String(position + 1)}`;
      keys.push(await loadKey(source, foreignAlgorithms[algorithm].keyBytes, { codec: name, what }));
    }
  } catch (error) {
    for (const key of keys) key.wipe();
    throw error;
  }
  return new AeadCodec(
    { name, algorithm, rowColumns: aad.rowColumns, read: (cell) => readMessage(cell, options), aad: aad.render, plaintext },
    keys,
  );
};
