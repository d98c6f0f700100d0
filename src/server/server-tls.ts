import { unwatchFile, watchFile } from "node:fs";
import { resolve } from "node:path";
import type { SecureContextOptions } from "node:tls";
import { KeysteadError } from "../errors.ts";
import { readTlsFiles } from "../tls-files.ts";
import type { ServerSettings } from "./settings.ts";

/** Settings of TLS. */
type TlsSettings = NonNullable<ServerSettings["tls"]>;

const names = { ca: "tls.clientCaFile", certificate: "tls.certFile", key: "tls.keyFile" } as const;

/** Looking is better than being told: secrets of Kubernetes are links that move, and not every file system tells. */
const watchMilliseconds = 5_000;

/** Certificate and key of a server, read again when their files change. A new pair that is not good leaves the old one in use. */
export class ServerTls {
  /** True when connections without a good certificate are refused. */
  readonly requiresCertificate: boolean;
  readonly #settings: TlsSettings;
  readonly #folder: string;
  readonly #takers: ((context: SecureContextOptions) => void)[] = [];
  readonly #hearers: ((problem: string) => void)[] = [];
  readonly #watched: readonly string[];
  readonly #look: () => void;
  #context: SecureContextOptions;
  #problem: string | undefined;
  #reading: Promise<void> = Promise.resolve();

  private constructor(settings: TlsSettings, folder: string, context: SecureContextOptions) {
    this.#settings = settings;
    this.#folder = folder;
    this.#context = context;
    this.requiresCertificate = settings.requireClientCertificate;
    this.#watched = [settings.certFile, settings.keyFile, ...(settings.clientCaFile === undefined ? [] : [settings.clientCaFile])].map(
      (file) => resolve(folder, file),
    );
    this.#look = () => {
      void this.reload();
    };
    for (const file of this.#watched) watchFile(file, { interval: watchMilliseconds, persistent: false }, this.#look);
  }

  /**
   * Reads the files. Close it at the end.
   * @param folder - what relative paths are relative to
   * @throws KeysteadError `INVALID_ARGUMENT` naming the setting and what is wrong with its file, `INSECURE_FILE`
   */
  static async open(settings: TlsSettings, folder: string): Promise<ServerTls> {
    return new ServerTls(settings, folder, await readContext(settings, folder));
  }

  /** What new connections are made with. */
  get context(): SecureContextOptions {
    return this.#context;
  }

  /** Why the files as they are now are not used; undefined when they are. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Reads the files again. What is wrong with them is told by {@link problem}. */
  async reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read());
    await this.#reading;
  }

  /** Calls `take` with each later context. */
  follow(take: (context: SecureContextOptions) => void): void {
    this.#takers.push(take);
  }

  /** Calls `hear` each time that the files were read and are not good. */
  onProblem(hear: (problem: string) => void): void {
    this.#hearers.push(hear);
  }

  close(): void {
    for (const file of this.#watched) unwatchFile(file, this.#look);
  }

  async #read(): Promise<void> {
    try {
      const context = await readContext(this.#settings, this.#folder);
      for (const take of this.#takers) take(context);
      this.#context = context;
      this.#problem = undefined;
    } catch (error) {
      const problem =
        error instanceof KeysteadError ? error.message : "the certificate or its key is not one that TLS takes; write them anew";
      this.#problem = problem;
      for (const hear of this.#hearers) hear(problem);
    }
  }
}

async function readContext({ certFile, keyFile, clientCaFile, minVersion }: TlsSettings, folder: string): Promise<SecureContextOptions> {
  const files = {
    certificate: resolve(folder, certFile),
    key: resolve(folder, keyFile),
    ...(clientCaFile !== undefined && { ca: resolve(folder, clientCaFile) }),
  };
  return { ...(await readTlsFiles(files, names)), minVersion };
}
