import { createHash } from "node:crypto";
import type { KeysteadApi } from "../api/keystead-api.ts";
import { KeysteadError } from "../errors.ts";

type Summary = Awaited<ReturnType<KeysteadApi["audit"]["export"]>>;

const lineEnd = 0x0a;

/** Lines of an export that are no records begin so, with their kind. */
const kindOfLine = /^\{"type":"(\w+)"/;

/** Counts what an export holds while it goes by. It verifies nothing. */
export class ExportTally {
  readonly #counts = { writers: 0, records: 0, checkpoints: 0 };
  #rest: Buffer[] = [];
  #closing = "";
  #kind = "";

  add(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(lineEnd); end !== -1; end = chunk.indexOf(lineEnd, start)) {
      this.#line(Buffer.concat([...this.#rest, chunk.subarray(start, end)]));
      this.#rest = [];
      start = end + 1;
    }
    if (start < chunk.length) this.#rest.push(chunk.subarray(start));
  }

  /** @throws KeysteadError `SERVER_UNREACHABLE` when the export does not end as one does */
  summary(): Summary {
    if (this.#rest.length === 0 && this.#kind === "statement") return { ...this.#counts, closing: this.#closing };
    throw new KeysteadError("SERVER_UNREACHABLE", "the export was cut off on its way; take it again");
  }

  #line(line: Buffer): void {
    this.#kind = kindOfLine.exec(line.toString("latin1", 0, 32))?.[1] ?? "record";
    if (this.#kind === "record") this.#counts.records += 1;
    if (this.#kind === "writer") this.#counts.writers += 1;
    if (this.#kind === "checkpoint") {
      this.#counts.checkpoints += 1;
      // Checkpoints come oldest first: the last one closes the export.
      const checkpoint: unknown = JSON.parse(line.toString("utf8"));
      const { body } = { body: undefined, ...(typeof checkpoint === "object" && checkpoint) };
      this.#closing = createHash("sha256").update(String(body), "base64url").digest("hex");
    }
  }
}
