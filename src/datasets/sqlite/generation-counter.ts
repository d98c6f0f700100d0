import type { SQLOutputValue } from "node:sqlite";
import { decodeBase64url } from "../../crypto/base64url.ts";
import type { GenerationCount } from "../source.ts";
import { maxGenerationGroups, tooManyGenerations } from "../source-limits.ts";
import { quoteIdentifier } from "./identifier.ts";
import type { ValueCounter } from "./table-scan.ts";

/** Bytes that a token has at most, with room to spare. */
const maxTokenBytes = 128;

const tokenPattern = /^([1-9][0-9]{0,15})\.([A-Za-z0-9_-]+)$/;

/** SQL of a text that is short enough for a token; 0 for everything else but NULL. */
function generationExpression(column: string): string {
  const isShortText = `typeof(${column}) = 'text' AND octet_length(${column}) <= ${maxTokenBytes}`;
  return `CASE WHEN ${isShortText} THEN ${column} WHEN ${column} IS NULL THEN NULL ELSE 0 END`;
}

/** Counts the tokens of one index column by generation. */
export class GenerationCounter implements ValueCounter {
  readonly column: string;
  readonly expression: string;
  readonly #counts = new Map<number | null, number>();

  constructor(column: string) {
    this.column = column;
    this.expression = generationExpression(quoteIdentifier(column));
  }

  /**
   * @throws KeysteadError `DATABASE_FAILED` when there are more generations than anybody makes.
   */
  count(value: SQLOutputValue): void {
    const generation = value === null ? null : typeof value === "string" ? tokenGeneration(value) : -1;
    const count = this.#counts.get(generation) ?? 0;
    if (count === 0 && this.#counts.size >= maxGenerationGroups) throw tooManyGenerations(this.column);
    this.#counts.set(generation, count + 1);
  }

  get counts(): GenerationCount[] {
    return [...this.#counts].map(([generation, count]) => ({ column: this.column, generation, count }));
  }
}

/** Generation of a token `<generation>.<base64url>`; -1 when it is none. */
function tokenGeneration(token: string): number {
  const match = tokenPattern.exec(token);
  const generation = Number(match?.[1]);
  return Number.isSafeInteger(generation) && decodeBase64url(match?.[2] ?? "") !== undefined ? generation : -1;
}
