import { argon2, scrypt } from "node:crypto";
import { KeysteadError } from "../errors.ts";
import { decodeBase64url, encodeBase64url } from "./base64url.ts";
import type { RandomSource } from "./random.ts";

/** Argon2id, version 1.3 (RFC 9106). */
export interface Argon2idParameters {
  readonly algorithm: "argon2id";
  /** 19,456 (19 MiB) to 1,048,576 (1 GiB). */
  readonly memoryKib: number;
  /** 2 to 16. */
  readonly passes: number;
  /** 1 to 16. */
  readonly parallelism: number;
  /** 16 to 64 bytes. */
  readonly salt: Uint8Array;
}

/** scrypt (RFC 7914). */
export interface ScryptParameters {
  readonly algorithm: "scrypt";
  /** Base-2 logarithm of N: 17 to 20. */
  readonly logCost: number;
  /** r: 8. */
  readonly blockSize: number;
  /** p: 1 to 16. */
  readonly parallelism: number;
  /** 16 to 64 bytes. */
  readonly salt: Uint8Array;
}

/** How a passphrase becomes a key. Holds no secret; stored beside what the key wraps. */
export type PassphraseParameters = Argon2idParameters | ScryptParameters;

/** Costs of {@link Argon2idParameters}. */
export type Argon2idCosts = Omit<Argon2idParameters, "algorithm" | "salt">;

/** Costs of {@link ScryptParameters}. */
export type ScryptCosts = Omit<ScryptParameters, "algorithm" | "salt">;

type Range = readonly [min: number, max: number];

const argon2idRanges: Readonly<Record<keyof Argon2idCosts, Range>> = {
  memoryKib: [19_456, 1_048_576],
  passes: [2, 16],
  parallelism: [1, 16],
};
const scryptRanges: Readonly<Record<keyof ScryptCosts, Range>> = { logCost: [17, 20], blockSize: [8, 8], parallelism: [1, 16] };
const saltRange: Range = [16, 64];
const passphraseRange: Range = [8, 4_096];

const defaultArgon2idCosts: Argon2idCosts = { memoryKib: 65_536, passes: 3, parallelism: 1 };
const defaultScryptCosts: ScryptCosts = { logCost: 17, blockSize: 8, parallelism: 1 };

const newSaltBytes = 16;
const keyBytes = 32;
const maxTextLength = 160;
const argon2idPattern = /^argon2id:m=([1-9][0-9]{0,8}),t=([1-9][0-9]{0,8}),p=([1-9][0-9]{0,8}):([A-Za-z0-9_-]+)$/;
const scryptPattern = /^scrypt:ln=([1-9][0-9]{0,8}),r=([1-9][0-9]{0,8}),p=([1-9][0-9]{0,8}):([A-Za-z0-9_-]+)$/;

/**
 * Argon2id with a new salt. Costs that are not given are 64 MiB, 3 passes, 1 lane (RFC 9106, section 4, second choice, on one lane).
 * @throws KeysteadError `INVALID_ARGUMENT` when a cost is out of bounds.
 */
export function newArgon2idParameters(random: RandomSource, costs: Partial<Argon2idCosts> = {}): Argon2idParameters {
  return checked({ algorithm: "argon2id", ...defaultArgon2idCosts, ...costs, salt: random.bytes(newSaltBytes) });
}

/**
 * scrypt with a new salt. Costs that are not given are N = 2^17, r = 8, p = 1.
 * @throws KeysteadError `INVALID_ARGUMENT` when a cost is out of bounds.
 */
export function newScryptParameters(random: RandomSource, costs: Partial<ScryptCosts> = {}): ScryptParameters {
  return checked({ algorithm: "scrypt", ...defaultScryptCosts, ...costs, salt: random.bytes(newSaltBytes) });
}

/**
 * Text form: `argon2id:m=65536,t=3,p=1:<base64url salt>` or `scrypt:ln=17,r=8,p=1:<base64url salt>`.
 * @throws KeysteadError `INVALID_ARGUMENT` when a parameter is out of bounds.
 */
export function formatPassphraseParameters(parameters: PassphraseParameters): string {
  const { algorithm, salt } = checked(parameters);
  return `${algorithm}:${formatCosts(parameters)}:${encodeBase64url(salt)}`;
}

function formatCosts(parameters: PassphraseParameters): string {
  return parameters.algorithm === "argon2id"
    ? `m=${parameters.memoryKib.toString()},t=${parameters.passes.toString()},p=${parameters.parallelism.toString()}`
    : `ln=${parameters.logCost.toString()},r=${parameters.blockSize.toString()},p=${parameters.parallelism.toString()}`;
}

/** The parameters that a text spells; `undefined` unless it is exactly as written by {@link formatPassphraseParameters} and within bounds. */
export function parsePassphraseParameters(text: string): PassphraseParameters | undefined {
  const parameters = text.length <= maxTextLength ? (parseArgon2id(text) ?? parseScrypt(text)) : undefined;
  return parameters !== undefined && problemWith(parameters) === undefined ? parameters : undefined;
}

function parseArgon2id(text: string): Argon2idParameters | undefined {
  const [, memoryKib, passes, parallelism, salt] = argon2idPattern.exec(text) ?? [];
  const bytes = salt === undefined ? undefined : decodeBase64url(salt);
  if (bytes === undefined) return undefined;
  return { algorithm: "argon2id", memoryKib: Number(memoryKib), passes: Number(passes), parallelism: Number(parallelism), salt: bytes };
}

function parseScrypt(text: string): ScryptParameters | undefined {
  const [, logCost, blockSize, parallelism, salt] = scryptPattern.exec(text) ?? [];
  const bytes = salt === undefined ? undefined : decodeBase64url(salt);
  if (bytes === undefined) return undefined;
  return { algorithm: "scrypt", logCost: Number(logCost), blockSize: Number(blockSize), parallelism: Number(parallelism), salt: bytes };
}

/**
 * The key that a passphrase stands for: 32 bytes, which the caller wipes. Takes about a quarter of a second and the memory that
 * the parameters name, on another thread.
 *
 * @param passphrase - 8 to 4,096 bytes.
 * @throws KeysteadError `INVALID_ARGUMENT`, before anything is computed, when passphrase or parameters are out of bounds.
 */
export async function derivePassphraseKey(passphrase: Uint8Array, parameters: PassphraseParameters): Promise<Buffer> {
  checked(parameters);
  if (!within(passphrase.length, passphraseRange)) throw invalid(`passphrase must have ${describe(passphraseRange)} bytes: choose another`);
  return parameters.algorithm === "argon2id" ? deriveArgon2id(passphrase, parameters) : deriveScrypt(passphrase, parameters);
}

function deriveArgon2id(message: Uint8Array, { memoryKib, passes, parallelism, salt }: Argon2idParameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2("argon2id", { message, nonce: salt, memory: memoryKib, passes, parallelism, tagLength: keyBytes }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function deriveScrypt(passphrase: Uint8Array, { logCost, blockSize, parallelism, salt }: ScryptParameters): Promise<Buffer> {
  const cost = 2 ** logCost;
  // Twice what scrypt needs: Node refuses to run it on exactly that much.
  const maxmem = 2 * 128 * blockSize * (cost + parallelism);
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, keyBytes, { cost, blockSize, parallelization: parallelism, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function checked<T extends PassphraseParameters>(parameters: T): T {
  const problem = problemWith(parameters);
  if (problem !== undefined) throw invalid(problem);
  return parameters;
}

function problemWith(parameters: PassphraseParameters): string | undefined {
  const costs = parameters.algorithm === "argon2id" ? outOfRange(parameters, argon2idRanges) : outOfRange(parameters, scryptRanges);
  if (costs !== undefined) return costs;
  return within(parameters.salt.length, saltRange) ? undefined : `passphrase salt must have ${describe(saltRange)} bytes`;
}

function outOfRange<K extends string>(costs: Readonly<Record<K, number>>, ranges: Readonly<Record<K, Range>>): string | undefined {
  for (const name in ranges) {
    if (!within(costs[name], ranges[name])) return `passphrase parameter ${name} must be ${describe(ranges[name])}`;
  }
  return undefined;
}

function within(value: number, [min, max]: Range): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function describe([min, max]: Range): string {
  return min === max ? min.toString() : `${min.toString()} to ${max.toString()}`;
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
