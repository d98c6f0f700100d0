import { KeysteadError } from "../errors.ts";
import type { DatasetSource, DatasetSourceProvider, SourceLayout } from "./source.ts";

/** Loads a source provider when its scheme is first used. */
export type DatasetSourceLoader = () => Promise<DatasetSourceProvider>;

/**
 * The databases that the local configuration names. The store and the API refer to a database by its name only, so nobody
 * who can write the store can point a process at a file or an address of his own.
 */
export class Databases {
  readonly #urls: ReadonlyMap<string, string>;
  readonly #loaders: ReadonlyMap<string, DatasetSourceLoader>;

  constructor(urls: Readonly<Record<string, string>>, loaders: Readonly<Record<string, DatasetSourceLoader>>) {
    this.#urls = new Map(Object.entries(urls));
    this.#loaders = new Map(Object.entries(loaders));
  }

  /** Names of the configured databases. */
  get names(): readonly string[] {
    return [...this.#urls.keys()];
  }

  /** Scheme of a database's URL: `sqlite`, `postgresql`; empty for one that is not configured. */
  schemeOf(name: string): string {
    const url = this.#urls.get(name) ?? "";
    return url.slice(0, Math.max(0, url.indexOf(":")));
  }

  /**
   * Opens the table of a dataset. The caller closes the source.
   * @throws KeysteadError `UNKNOWN_DATABASE`, `INVALID_ARGUMENT` for an unknown URL scheme, `DATABASE_FAILED`
   */
  async open(name: string, layout: SourceLayout): Promise<DatasetSource> {
    const url = this.#urls.get(name);
    if (url === undefined) {
      const names = this.names.join(", ") || "none";
      throw new KeysteadError("UNKNOWN_DATABASE", `the local configuration names no database ${JSON.stringify(name)}; it names: ${names}`);
    }
    const loader = this.#loaders.get(this.schemeOf(name));
    if (loader === undefined) {
      const schemes = [...this.#loaders.keys()].join(", ");
      throw new KeysteadError("INVALID_ARGUMENT", `the URL of database ${name} begins with no scheme that is supported: ${schemes}`);
    }
    const provider = await loader();
    return provider.open(url, layout);
  }
}
