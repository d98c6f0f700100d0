import type { KeyObject } from "node:crypto";
import { checkpointHash, encodeCheckpoint } from "../../src/audit/checkpoint.ts";
import type { AuditEvent } from "../../src/audit/event.ts";
import { type ChainPosition, extendChain, startChain } from "../../src/audit/hash-chain.ts";
import { closeAction, enginePrincipal, openAction } from "../../src/audit/journal.ts";
import { encodeRecord } from "../../src/audit/record.ts";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { encodeFields } from "../../src/crypto/encode.ts";
import { randomUuid } from "../../src/crypto/uuid.ts";
import type { NewRecord } from "../../src/store/tables.ts";
import { formatJson, hex } from "./format.ts";
import { type GoldenKeyset, store, versionOf } from "./keyset.ts";
import { goldenClock, goldenRandom } from "./source.ts";

const events: readonly AuditEvent[] = [
  { action: openAction, outcome: "allowed", principal: enginePrincipal, detail: { start: "0f1e2d3c-0000-4000-8000-000000000000/123456" } },
  {
    action: "keys.create",
    outcome: "allowed",
    principal: { source: "os-user", id: "zoë" },
    key: "pii-email",
    version: "1-aaaaaa",
    reason: 'for "Größe"\n東京 🗝',
    detail: { purpose: "pii", count: -1.5, first: true, none: null },
  },
  {
    action: "datasets.reencrypt",
    outcome: "failed",
    principal: { source: "engine", id: "worker", actingFor: "zoë" },
    dataset: "crm.person",
    code: "DATABASE_FAILED",
  },
  { action: closeAction, outcome: "allowed", principal: enginePrincipal },
];

interface Written {
  readonly writer: string;
  readonly lines: readonly Buffer[];
  /** After no line, one, two … */
  readonly positions: readonly ChainPosition[];
}

/** The audit of the golden store. */
export interface GoldenAudit {
  readonly writers: readonly Written[];
  readonly checkpoints: readonly NewRecord<"checkpoints">[];
  /** JSON of a destruction certificate. */
  readonly certificate: string;
}

/** Two writers' lines, and two checkpoints over them: the second lists only the writer that went on. */
export function createAudit(keyset: GoldenKeyset): GoldenAudit {
  const { label, material } = versionOf(keyset, "keystead/audit");
  const signer = `keystead/audit:${label}`;
  const going = write("going", events);
  const killed = write("killed", events.slice(0, 1));
  const first = checkpoint(material.key, signer, "", 1, [going.positions[2], killed.positions[1]]);
  const second = checkpoint(material.key, signer, first.hash, 2, [going.positions[4]]);
  return { writers: [going, killed], checkpoints: [first, second], certificate: certificate(keyset) };
}

/** `audit.json`: lines with their chains, checkpoints, and a destruction certificate. */
export function auditFile(keyset: GoldenKeyset, { writers, checkpoints, certificate }: GoldenAudit): string {
  const { material } = versionOf(keyset, "keystead/audit");
  return formatJson({
    about: "Keystead format 1, audit. Byte strings are hexadecimal; lines are UTF-8 without their newline; `chain` holds h0, h1 and so on.",
    storeId: store.id,
    publicKey: hex(material.publicKeyDer() ?? Buffer.alloc(0)),
    writers: writers.map(({ writer, lines, positions }) => ({
      writer,
      lines: lines.map((line) => line.toString()),
      chain: positions.map(({ head }) => hex(head)),
    })),
    checkpoints: checkpoints.map((row) => ({ ...row, body: hex(row.body), signature: hex(row.signature) })),
    certificate,
  });
}

function write(name: string, written: readonly AuditEvent[]): Written {
  const random = goldenRandom(`audit ${name}`);
  const origin = { store: store.id, writer: randomUuid(random), process: 4711, host: "rechner-ü" };
  let position = startChain(origin.writer);
  const positions = [position];
  const lines = written.map((event, index) => {
    const place = { sequence: index + 1, previous: position.head.toString("hex"), time: goldenClock.now() + index, id: randomUuid(random) };
    const line = encodeRecord(origin, place, event);
    position = extendChain(position, line);
    positions.push(position);
    return line;
  });
  return { writer: origin.writer, lines, positions };
}

function checkpoint(
  key: KeyObject,
  signer: string,
  previous: string,
  generation: number,
  covered: readonly (ChainPosition | undefined)[],
): NewRecord<"checkpoints"> {
  const body = encodeCheckpoint({ previous, generation, positions: covered.filter((position) => position !== undefined) });
  const signature = algorithms.Ed25519.sign(key, body);
  return { hash: checkpointHash(body), previous, takenAt: goldenClock.now(), generation, body, signature, signer };
}

function certificate(keyset: GoldenKeyset): string {
  const { keyId, name } = versionOf(keyset, "pii-email");
  const { label, material } = versionOf(keyset, "keystead/audit");
  const statement = JSON.stringify({
    type: "keystead.destruction",
    format: 1,
    store: store.id,
    key: { id: keyId, name },
    version: "3-aaaaaa",
    createdAt: "2026-12-01T00:00:00.000Z",
    scheduledAt: "2026-12-24T00:00:00.000Z",
    executedAt: "2026-12-31T00:00:00.000Z",
    reason: "abgelöst",
    principal: { source: "os-user", id: "zoë" },
    evidence: {
      censuses: [{ dataset: "crm.person", takenAt: "2026-12-31T00:00:00.000Z", count: 0 }],
      zeroSince: "2026-12-24T00:00:00.000Z",
      backupRetentionDays: 7,
      seals: { inDatasets: 5_000, outsideDatasets: 0 },
      opens: 12,
      lastOpenedAt: null,
      refusals: 0,
      indexGenerations: [],
    },
  });
  const signature = algorithms.Ed25519.sign(material.key, encodeFields("keystead certificate v1", statement));
  const publicKey = material.publicKeyDer() ?? Buffer.alloc(0);
  return JSON.stringify({
    statement,
    signer: label,
    publicKey: publicKey.toString("base64url"),
    signature: signature.toString("base64url"),
  });
}
