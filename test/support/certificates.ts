import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate with its private key, as PEM texts and in files. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  readonly files: { readonly certificate: string; readonly key: string };
}

/** What a certificate says. */
export interface CertificateFacts {
  /** Common name: for a client, the database's user. */
  readonly name: string;
  /** As OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  /** Whether its time is over. Default false. */
  readonly expired?: boolean;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const configuration = (expired: boolean): string => `[ca]
default_ca = authority
[authority]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = policy
copy_extensions = copy
unique_subject = no
default_days = 1
${expired ? "default_startdate = 20200101000000Z\ndefault_enddate = 20200102000000Z" : ""}
[policy]
commonName = supplied
`;

/** An authority of a test's own, made with the `openssl` command in a folder that the test removes. */
export class TestAuthority {
  /** File with the certificate of the authority. */
  readonly file: string;
  readonly #folder: string;

  /** @param name - Common name. Two authorities may have the same: their keys differ. */
  constructor(folder: string, name = "Test authority") {
    this.#folder = mkdtempSync(join(folder, "authority-"));
    this.file = join(this.#folder, "authority.crt");
    const usage = ["-addext", "keyUsage=critical,keyCertSign"];
    this.#run("req", "-x509", ...newKey, "-keyout", "authority.key", "-out", "authority.crt", "-subj", `/CN=${name}`, ...usage);
    writeFileSync(join(this.#folder, "index"), "");
  }

  /** The certificate of the authority. */
  get certificate(): string {
    return readFileSync(this.file, "utf8");
  }

  issue({ name, names = [], expired = false }: CertificateFacts): Certificate {
    const at = (end: string): string => join(mkdtempSync(join(this.#folder, "issued-")), end);
    const files = { certificate: at("certificate.crt"), key: at("private.key") };
    const alternatives = names.length === 0 ? [] : ["-addext", `subjectAltName=${names.join(",")}`];
    this.#run("req", "-new", ...newKey, "-keyout", files.key, "-out", "request", "-subj", `/CN=${name}`, ...alternatives);
    writeFileSync(join(this.#folder, "configuration"), configuration(expired));
    const signer = ["-cert", "authority.crt", "-keyfile", "authority.key"];
    this.#run(
      "ca",
      "-batch",
      "-config",
      "configuration",
      "-create_serial",
      ...signer,
      "-in",
      "request",
      "-out",
      files.certificate,
      "-notext",
    );
    return { certificate: readFileSync(files.certificate, "utf8"), key: readFileSync(files.key, "utf8"), files };
  }

  #run(...command: string[]): void {
    try {
      execFileSync("openssl", command, { cwd: this.#folder, stdio: ["ignore", "ignore", "pipe"] });
    } catch (cause) {
      throw new Error("certificates for tests are made with OpenSSL's command, openssl 3: install it", { cause });
    }
  }
}
