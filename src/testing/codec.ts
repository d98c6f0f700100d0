import { testOpening } from "./codec/opening.ts";
import { testRecognising } from "./codec/recognising.ts";
import type { CodecSuite } from "./codec/suite.ts";

export { type CodecSuite, type CodecVector, placeOf } from "./codec/suite.ts";

/**
 * The conformance suite of the codec seam: what every `Codec` of foreign ciphertext must do. Run it for each kind of options, with
 * values that the foreign system wrote.
 *
 * @example
 * import { describe, it } from "vitest";
 * import { testCodec } from "keystead/testing";
 *
 * testCodec({ name: "openspp", describe, it, createCodec, vectors, otherPlaces, secrets });
 */
export function testCodec(suite: CodecSuite): void {
  suite.describe(`codec: ${suite.name}`, () => {
    suite.describe("recognising", () => {
      testRecognising(suite);
    });
    suite.describe("opening", () => {
      testOpening(suite);
    });
  });
}
