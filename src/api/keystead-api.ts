import type { Keystead } from "../keystead.ts";

/** The public side of a class: what another class can be in its place. */
type PublicSide<T> = Pick<T, keyof T>;

/**
 * What a caller can do, wherever the engine is: the embedded `Keystead` has it, and so has `KeysteadClient`. Code moves from one to the
 * other by changing one line.
 */
export type KeysteadApi = Pick<Keystead, "encrypt" | "decrypt" | "decryptText" | "rewrap"> & {
  readonly keys: PublicSide<Keystead["keys"]>;
  readonly purposes: PublicSide<Keystead["purposes"]>;
  readonly routes: PublicSide<Keystead["routes"]>;
  readonly settings: PublicSide<Keystead["settings"]>;
  readonly datasets: PublicSide<Keystead["datasets"]>;
  readonly jobs: PublicSide<Keystead["jobs"]>;
};
