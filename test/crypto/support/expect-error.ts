import { expect } from "vitest";
import { type ErrorCode, KeysteadError } from "../../../src/errors.ts";

/** Expects that the work throws a KeysteadError of that code, and returns it. */
export function expectError(code: ErrorCode, work: () => unknown): KeysteadError {
  try {
    work();
  } catch (error) {
    return checkError(code, error);
  }
  throw new Error(`expected ${code}, but nothing was thrown`);
}

/** Expects that the promise rejects with a KeysteadError of that code, and returns it. */
export async function expectRejection(code: ErrorCode, work: Promise<unknown>): Promise<KeysteadError> {
  try {
    await work;
  } catch (error) {
    return checkError(code, error);
  }
  throw new Error(`expected ${code}, but nothing was thrown`);
}

function checkError(code: ErrorCode, error: unknown): KeysteadError {
  expect(error).toBeInstanceOf(KeysteadError);
  expect(error).toHaveProperty("code", code);
  return error as KeysteadError;
}
