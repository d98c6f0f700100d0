import { KeysteadError } from "../../errors.ts";
import { checkpointHash, parseCheckpoint } from "../checkpoint.ts";
import { type ChainPosition, extendChain } from "../hash-chain.ts";
import { parseRecord } from "../record.ts";
import { readPinnedKeys, readPublicKey, verifySignature } from "../signature.ts";
import type { AuditFinding } from "../verify.ts";
import { ChainCheck } from "../verify-chain.ts";
import { type Attestation, type CheckRow, createRowCheck } from "../verify-checkpoints.ts";
import type { Witness } from "../witness.ts";
import {
  bytesOf,
  type ExportHeader,
  type ExportLine,
  parseLine,
  parseStatement,
  preambleHash,
  type Section,
  type Statement,
} from "./lines.ts";
import { compareSections } from "./compare-sections.ts";
import { splitLines } from "./split-lines.ts";

/** What an export is held against. */
export interface VerifyExportOptions {
  /** SPKI DER of the only keys that may have signed, from elsewhere than the export. Absent: any key that the export names. */
  readonly pinnedKeys?: readonly Uint8Array[];
  /** The newest checkpoint as a host saw it (`checkpoint.json`): an export that does not hold it is older, or was cut. */
  readonly witness?: Witness;
}

/** What a verification of an export found. */
export interface ExportReport {
  /** Empty = the export is what was signed. The first finding about a writer names its first bad record. */
  readonly findings: readonly AuditFinding[];
  readonly store: string | undefined;
  readonly takenAt: string | undefined;
  readonly writers: number;
  readonly records: number;
  readonly checkpoints: number;
  /** Hash of the closing checkpoint. */
  readonly closing: string | undefined;
}

interface OpenSection {
  readonly from: ChainPosition;
  readonly chain: ChainCheck;
  to: ChainPosition;
}

type LineOf<T extends ExportLine["type"]> = Extract<ExportLine, { readonly type: T }>;

/** Checks an export line by line. Needs memory for what its checkpoints say, not for its records. */
class ExportCheck {
  readonly #options: VerifyExportOptions;
  readonly #checkRow: CheckRow;
  readonly #findings: AuditFinding[] = [];
  /** The first bad record of each writer. */
  readonly #bad = new Map<string, AuditFinding>();
  readonly #keys = new Map<string, Uint8Array>();
  readonly #attested = new Map<string, Map<number, Attestation>>();
  readonly #covered = new Map<string, ChainPosition>();
  readonly #preamble: Buffer[] = [];
  readonly #counts = { writers: 0, records: 0, checkpoints: 0 };
  #number = 0;
  #header: ExportHeader | undefined;
  #closing: string | undefined;
  #generation = 0;
  #witnessSeen = false;
  #open: OpenSection | undefined;
  #lastWriter = "";
  #sections: Section[] = [];
  #statements = 0;
  #ended = false;

  constructor(options: VerifyExportOptions) {
    this.#options = options;
    this.#checkRow = createRowCheck((signer) => this.#keys.get(signer), options.pinnedKeys);
  }

  async push(bytes: Buffer): Promise<void> {
    this.#number++;
    const line = parseLine(bytes);
    if (this.#ended) this.#find(`is behind the end of the export`);
    else if (this.#number === 1 && line?.type !== "export") this.#find("is not the first line of an export");
    else if (line === undefined) this.#pushRecord(bytes);
    else await this.#pushLine(line, bytes);
  }

  /** @param rest bytes behind the last line feed; undefined when there are none */
  async end(rest: Buffer | undefined): Promise<ExportReport> {
    if (rest !== undefined) await this.#pushRest(rest);
    this.#endSection();
    if (rest !== undefined) this.#find("is cut off");
    if (!this.#ended) {
      this.#compareCovered();
      this.#findings.push({ kind: "export", problem: "the export ends before its last statement: lines were cut off" });
    }
    this.#checkWitness();
    const findings = [...[...this.#bad.values()], ...this.#findings];
    return { findings, store: this.#header?.store, takenAt: this.#header?.takenAt, ...this.#counts, closing: this.#closing };
  }

  /** What can't be read of a line that was cut off says nothing but that: it is no record that was altered. */
  async #pushRest(rest: Buffer): Promise<void> {
    const isCut = this.#number > 0 && !this.#ended && parseLine(rest) === undefined && parseRecord(rest) === undefined;
    if (isCut) this.#number++;
    else await this.push(rest);
  }

  async #pushLine(line: ExportLine, bytes: Buffer): Promise<void> {
    if (line.type !== "writer") this.#endSection();
    if (line.type === "export") this.#pushHeader(line, bytes);
    else if (line.type === "signer") this.#pushSigner(line, bytes);
    else if (line.type === "checkpoint") await this.#pushCheckpoint(line);
    else if (line.type === "writer") this.#pushWriter(line);
    else this.#pushStatement(line);
  }

  #pushHeader(line: ExportHeader, bytes: Buffer): void {
    if (this.#number > 1) this.#find("begins another export");
    this.#header ??= line;
    this.#preamble.push(Buffer.from(bytes));
  }

  #pushSigner({ signer, publicKey }: LineOf<"signer">, bytes: Buffer): void {
    if (this.#counts.checkpoints > 0 || this.#keys.has(signer)) this.#find(`names the signer ${signer} out of place`);
    this.#keys.set(signer, bytesOf(publicKey));
    this.#preamble.push(Buffer.from(bytes));
  }

  async #pushCheckpoint({ body, signature, signer }: LineOf<"checkpoint">): Promise<void> {
    const bytes = bytesOf(body);
    const hash = checkpointHash(bytes);
    const parsed = parseCheckpoint(bytes);
    const row = { hash, previous: parsed?.previous ?? "", generation: parsed?.generation ?? 0, takenAt: 0, body: bytes, signer };
    const checked = await this.#checkRow({ ...row, signature: bytesOf(signature) });
    this.#counts.checkpoints++;
    const before = this.#closing;
    this.#closing = hash;
    if (typeof checked === "string") {
      this.#findings.push({ kind: "checkpoint", checkpoint: hash, problem: `${checked} (line ${String(this.#number)})` });
      return;
    }
    if (this.#lastWriter !== "") this.#find("is a checkpoint out of place");
    if (before !== undefined && checked.previous !== before) {
      this.#findings.push({
        kind: "checkpoint",
        checkpoint: checked.previous,
        problem: `is missing before ${hash}, or checkpoints changed places`,
      });
    }
    this.#generation = Math.max(this.#generation, checked.generation);
    this.#witnessSeen ||= hash === this.#options.witness?.checkpoint;
    for (const position of checked.positions) this.#attest(position, hash);
  }

  #attest(position: ChainPosition, checkpoint: string): void {
    const { writer, count, head } = position;
    const known = this.#attested.get(writer) ?? new Map<number, Attestation>();
    const other = known.get(count);
    if (other !== undefined && !other.head.equals(head)) {
      const problem = `says something else than ${other.checkpoint} about record ${String(count)} of ${writer}`;
      this.#findings.push({ kind: "checkpoint", checkpoint, problem });
    }
    this.#attested.set(writer, known.set(count, other ?? { head, checkpoint }));
    if ((this.#covered.get(writer)?.count ?? -1) < count) this.#covered.set(writer, position);
  }

  #pushWriter({ writer, count, head }: LineOf<"writer">): void {
    this.#endSection();
    if (writer <= this.#lastWriter) this.#find(`names the writer ${writer} out of place`);
    this.#lastWriter = writer;
    const start = { writer, count, head: Buffer.from(head, "hex") };
    const attested = this.#attested.get(writer) ?? new Map<number, Attestation>();
    const said = attested.get(count);
    if (said !== undefined && !said.head.equals(start.head)) {
      this.#findBad(writer, count + 1, `does not go on from what checkpoint ${said.checkpoint} signed`);
    }
    this.#open = { from: start, chain: new ChainCheck({ writer, storeId: this.#header?.store ?? "", attested, start }), to: start };
  }

  #pushRecord(bytes: Buffer): void {
    if (this.#open === undefined) {
      this.#find("is not what an export holds here");
      return;
    }
    this.#counts.records++;
    this.#open.chain.push(bytes);
    this.#open.to = extendChain(this.#open.to, bytes);
  }

  #endSection(): void {
    if (this.#open === undefined) return;
    const { from, to, chain } = this.#open;
    this.#open = undefined;
    this.#counts.writers++;
    const finding = chain.end();
    if (finding !== undefined) this.#findBad(from.writer, finding.sequence, finding.problem);
    this.#sections.push({ from, to });
  }

  #pushStatement({ body, signature, signer }: LineOf<"statement">): void {
    const bytes = bytesOf(body);
    const statement = parseStatement(bytes);
    const problem =
      this.#checkSignature(bytes, bytesOf(signature), signer) ?? (statement === undefined ? "is no statement any more" : undefined);
    this.#statements++;
    if (problem !== undefined || statement === undefined) {
      this.#find(`the statement ${problem ?? ""}`);
      this.#compareCovered();
      return;
    }
    this.#checkStatement(statement);
    for (const { writer, sequence, problem: difference } of compareSections(this.#sections, statement.sections))
      this.#findBad(writer, sequence, difference);
    this.#sections = [];
    this.#ended = statement.last;
  }

  #checkSignature(body: Uint8Array, signature: Uint8Array, signer: string): string | undefined {
    const der = this.#keys.get(signer);
    const key = der === undefined ? undefined : readPublicKey(der);
    if (key === undefined) return `is signed by ${signer}, a key that nobody knows`;
    if (!verifySignature(key, body, signature)) return "has a signature that does not verify";
    const { pinnedKeys } = this.#options;
    if (pinnedKeys !== undefined && !readPinnedKeys(pinnedKeys).some((trusted) => trusted.equals(key)))
      return "is not signed by a pinned key";
    return undefined;
  }

  #checkStatement({ preamble, closing, checkpoints, number }: Statement): void {
    if (!preamble.equals(preambleHash(this.#preamble))) this.#find("the statement was signed under another header, or other signers");
    if (closing !== this.#closing) {
      this.#findings.push({ kind: "checkpoint", checkpoint: closing, problem: "is the closing checkpoint, and is not the last one here" });
    } else if (checkpoints !== this.#counts.checkpoints) {
      const problem = `${String(checkpoints)} checkpoints were exported, ${String(this.#counts.checkpoints)} are here`;
      this.#findings.push({ kind: "checkpoint", checkpoint: closing, problem });
    }
    if (number !== this.#statements)
      this.#find(`is statement ${String(number)}, and statement ${String(this.#statements)} is expected here`);
  }

  /** Without a statement only the checkpoints say how far the records go; of an export of some time they don't. */
  #compareCovered(): void {
    const { since, until } = this.#header ?? {};
    if (since !== undefined || until !== undefined) return;
    for (const { from, to } of this.#sections) {
      const end = this.#covered.get(to.writer);
      if (end !== undefined && to.count < end.count) {
        this.#findBad(to.writer, to.count + 1, `is missing; the checkpoints cover records up to ${String(end.count)}`);
      }
      this.#covered.delete(from.writer);
    }
  }

  #checkWitness(): void {
    const { witness } = this.#options;
    if (witness === undefined) return;
    let problem: string | undefined;
    if (witness.store !== this.#header?.store) problem = `the witness belongs to the store ${witness.store}`;
    else if (!this.#witnessSeen || this.#generation < witness.generation) {
      problem = `the export does not hold checkpoint ${witness.checkpoint} of the witness: it is older, was cut, or begins behind it`;
    }
    if (problem !== undefined) this.#findings.push({ kind: "witness", checkpoint: witness.checkpoint, problem });
  }

  #findBad(writer: string, sequence: number, problem: string): void {
    const known = this.#bad.get(writer);
    if (known?.sequence === undefined || sequence < known.sequence) this.#bad.set(writer, { kind: "record", writer, sequence, problem });
  }

  #find(problem: string): void {
    this.#findings.push({ kind: "export", problem: `line ${String(this.#number)} ${problem}` });
  }
}

/**
 * Verifies an export without its store: every record, checkpoint and signature, and that nothing was taken out, put in or cut off.
 * Reads line by line.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned or one is no public key, and what `source` throws
 * @example
 * const { findings } = await verifyAuditExport(createReadStream("audit.jsonl"), { pinnedKeys: [publicKeyDer] });
 */
export async function verifyAuditExport(source: AsyncIterable<Uint8Array>, options: VerifyExportOptions = {}): Promise<ExportReport> {
  const check = new ExportCheck(options);
  let empty = true;
  let rest: Buffer | undefined;
  for await (const { bytes, ended } of splitLines(source)) {
    empty = false;
    if (rest !== undefined) await check.push(rest);
    rest = ended ? undefined : bytes;
    if (ended) await check.push(bytes);
  }
  if (empty) throw new KeysteadError("INVALID_ARGUMENT", "the export is empty; export the audit again: keystead audit export --out FILE");
  return await check.end(rest);
}
