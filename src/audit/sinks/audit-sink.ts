import type { LineGroup } from "../line-group.ts";

/** Where audit lines go beside the store. */
export interface AuditSink {
  /** What messages call it: `file:/var/log/keystead/audit.jsonl`, `stdout`. */
  readonly name: string;
  /** Gets ready to take lines. @throws what the system says */
  open(): Promise<void>;
  /**
   * Resolves when the lines, all of one writer, are as durable as this sink makes them. After a rejection it is given the same lines
   * again: it drops those that it has.
   */
  append(writer: string, lines: LineGroup): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of a sink's file beyond which a new one is begun, unless its configuration says otherwise. */
export const defaultMaxBytes = 64 * 1024 * 1024;

/** A sink as the configuration describes it. */
export type AuditSinkConfig =
  | {
      readonly type: "file";
      /** Made when missing, for its owner only. */
      readonly path: string;
      /** A file that would grow longer goes on in a new one. Default: 64 MiB. */
      readonly maxBytes?: number;
      /** Files that are kept beside the one that is written; older ones are removed. Default: all. */
      readonly keep?: number;
    }
  | { readonly type: "stdout" };
