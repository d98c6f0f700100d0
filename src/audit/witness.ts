import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { writeWhole } from "../durable-file.ts";
import type { AuditStore } from "./audit-store.ts";

const witnessSchema = z.strictObject({
  store: z.string().min(1).max(64),
  generation: z.int().min(0),
  checkpoint: z.string().regex(/^[0-9a-f]{64}$/),
});

/** The newest checkpoint as this host saw it, kept outside the store. */
export type Witness = Readonly<z.infer<typeof witnessSchema>>;

/** How a store and the witness beside it stand to each other. */
export interface WitnessReport {
  /** Undefined when there is none, or it can't be read. */
  readonly witness: Witness | undefined;
  /** What the witness says against the store; undefined when they agree, or when there is no witness yet. */
  readonly problem: string | undefined;
}

function witnessPath(directory: string): string {
  return join(directory, "checkpoint.json");
}

async function findWitness(directory: string): Promise<Witness | "missing" | "malformed"> {
  let text: string;
  try {
    text = await readFile(witnessPath(directory), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "missing";
    throw error;
  }
  return parseWitness(text) ?? "malformed";
}

function parseWitness(text: string): Witness | undefined {
  try {
    return witnessSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/**
 * Reads a witness file, `audit/checkpoint.json` of a data folder or a copy of it, as an anchor for `verifyAuditExport`.
 * @throws KeysteadError `INVALID_ARGUMENT` when it can't be read or is none
 */
export async function readWitness(file: string): Promise<Witness> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new KeysteadError("INVALID_ARGUMENT", `the witness ${file} can't be read`, { cause });
  });
  const witness = parseWitness(text);
  if (witness === undefined) throw new KeysteadError("INVALID_ARGUMENT", `${file} is no witness; name a copy of audit/checkpoint.json`);
  return witness;
}

const temporaryName = /^checkpoint\.json\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** True for the name of a file that is to become the witness. */
export function isTemporaryWitness(fileName: string): boolean {
  return temporaryName.test(fileName);
}

/** Replaces the witness atomically and durably. */
export async function writeWitness(directory: string, witness: Witness, random: RandomSource): Promise<void> {
  const path = witnessPath(directory);
  // Two processes may write at once: each its own temporary file.
  const temporary = `${path}.${randomUuid(random)}`;
  await writeWhole(path, [`${JSON.stringify(witness)}\n`], { temporary, busy: `${temporary} is there already; remove it` });
}

/** Holds the witness against a store: one that was put back from an older copy does not know the newest checkpoint. */
export async function checkWitness(directory: string, storeId: string, store: AuditStore): Promise<WitnessReport> {
  // The witness first: what a process writes meanwhile makes the store newer, never older than what was read.
  const witness = await findWitness(directory);
  if (witness === "missing") return { witness: undefined, problem: undefined };
  if (witness === "malformed") return { witness: undefined, problem: "the witness file checkpoint.json is damaged" };
  if (witness.store !== storeId) return { witness, problem: `the witness file checkpoint.json belongs to the store ${witness.store}` };
  const generation = await store.generation();
  const known = await store.read((tables) => tables.checkpoints.get({ hash: witness.checkpoint }));
  if (known === undefined || generation < witness.generation) {
    return { witness, problem: "the store is older than the newest checkpoint: it was put back from a copy, or checkpoints were removed" };
  }
  return { witness, problem: undefined };
}
