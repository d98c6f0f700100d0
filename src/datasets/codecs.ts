import { isPlainObject } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";
import type { Codec, ForeignTable } from "./codec.ts";
import { type CodecConfig, codecTypes, type ConfiguredCodec } from "./codecs/codec-types.ts";
import type { Databases } from "./databases.ts";
import type { Cell } from "./source.ts";

/**
 * The codecs of foreign ciphertext that the local configuration names. Jobs refer to a codec by its name only: nobody who can write the
 * store can make a process open a file of his choice.
 */
export class Codecs {
  readonly #codecs: ReadonlyMap<string, ConfiguredCodec>;
  readonly #databases: Databases;

  /** Checks all options; reads no key. @throws KeysteadError `INVALID_ARGUMENT` naming the codec and the option */
  constructor(configs: Readonly<Record<string, CodecConfig>>, databases: Databases) {
    this.#codecs = new Map(Object.entries(configs).map(([name, config]) => [name, configure(name, config)]));
    this.#databases = databases;
  }

  /**
   * Opens a codec. The caller closes it.
   * @throws KeysteadError `UNKNOWN_CODEC` naming those that are configured; `INVALID_ARGUMENT`, `INSECURE_FILE` and `WRONG_MASTER_KEY`
   *   about its keys
   */
  async open(name: string): Promise<Codec> {
    const codec = this.#codecs.get(name);
    if (codec !== undefined) return codec({ name, readTable: (table) => this.#readTable(table) });
    const names = [...this.#codecs.keys()].join(", ") || "none";
    throw new KeysteadError(
      "UNKNOWN_CODEC",
      `the local configuration names no codec ${JSON.stringify(name.slice(0, 128))}; it names: ${names}`,
    );
  }

  async #readTable({ database, table, keyColumns, columns, limit }: ForeignTable): Promise<readonly (readonly Cell[])[]> {
    const contextColumns = columns.filter((column) => !keyColumns.includes(column));
    const source = await this.#databases.open(database, { table, keyColumns, valueColumns: [], contextColumns, indexColumns: [] });
    try {
      return await Array.fromAsync(source.readValues(columns, limit));
    } finally {
      await source.close();
    }
  }
}

/**
 * Checks what a file says of a codec.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the codec and the option
 */
export function assertCodecConfig(name: string, config: unknown): asserts config is CodecConfig {
  if (!isPlainObject(config)) throw new KeysteadError("INVALID_ARGUMENT", `codec ${name}: must be an object with a type`);
  configure(name, config);
}

function configure(name: string, { type, ...options }: Readonly<Record<string, unknown>>): ConfiguredCodec {
  if (isCodecType(type)) return codecTypes[type].configure(`codec ${name}`, options);
  const types = Object.keys(codecTypes);
  const near = typeof type === "string" ? nearestName([type], types) : undefined;
  const question = near === undefined ? "" : `: did you mean ${near}?`;
  throw new KeysteadError("INVALID_ARGUMENT", `codec ${name}: type must be one of ${types.join(", ")}${question}`);
}

function isCodecType(type: unknown): type is keyof typeof codecTypes {
  return typeof type === "string" && Object.hasOwn(codecTypes, type);
}
