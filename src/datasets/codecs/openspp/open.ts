import { encodeUtf8 } from "../../../crypto/text.ts";
import type { CodecOpener } from "../../codec.ts";
import { AeadCodec } from "../aead-codec.ts";
import { unwrapDataKeys } from "./data-keys.ts";
import { readKeyRows } from "./key-rows.ts";
import { readMessage } from "./layout.ts";
import { loadMasterKey } from "./master-key.ts";
import type { OpensppOptions } from "./options.ts";

/** Opens the codec `openspp`: fields that the PII module of OpenSPP encrypts, with the keys of its database provider. */
export const openOpenspp: CodecOpener<OpensppOptions> = async (options, surroundings) => {
  const { name } = surroundings;
  const { model, fields, key } = options;
  const rows = await readKeyRows(options, surroundings);
  using masterKey = await loadMasterKey(options, name);
  const keys = unwrapDataKeys(rows, key, masterKey, name);
  const fieldOf = new Map(Object.entries(fields));
  return new AeadCodec(
    {
      name,
      algorithm: "aes-256-gcm",
      rowColumns: [],
      read: readMessage,
      aad: ({ column }) => encodeUtf8(`${model}.${fieldOf.get(column) ?? column}`, "additional data"),
      plaintext: "text",
    },
    keys,
  );
};
