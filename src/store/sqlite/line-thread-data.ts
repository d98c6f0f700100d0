import { z } from "zod";

/** Lines of one writer that follow each other, each with its newline, in one piece of memory: it goes to the thread and back without being copied. */
export interface LineBatch {
  readonly writer: string;
  readonly first: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What the thread says of a batch: no problem when it is in the database. */
export interface LineReply {
  /** Of the batch, for the next one. */
  readonly memory: ArrayBuffer;
  readonly problem?: string;
  readonly errcode?: number;
}

const dataSchema = z.strictObject({
  location: z.string(),
  settings: z.array(z.string()).readonly(),
  /** How long to wait for a lock, in milliseconds. */
  timeout: z.number(),
  /** The statement that inserts a line: writer, sequence, bytes. */
  insert: z.string(),
});

/** What the thread is given. */
export type LineThreadData = Readonly<z.output<typeof dataSchema>>;

/** In the thread: what it was given. */
export function readData(data: unknown): LineThreadData {
  return dataSchema.parse(data);
}
