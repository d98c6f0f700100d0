/** Bytes that one sealed payload may have (256 MiB). Anything larger is sealed as a stream. */
export const maxPayloadBytes = 2 ** 28;

/** Pairs that a context may have. */
export const maxContextPairs = 64;

/** UTF-8 bytes that the name of a context pair may have. */
export const maxContextNameBytes = 255;

/** UTF-8 bytes that the value of a context pair may have. */
export const maxContextValueBytes = 65_536;

/** Characters that a key name may have. */
export const maxKeyNameLength = 255;

/** The largest version number of a key. */
export const maxKeyVersion = 2 ** 31 - 1;

/** Bytes that the sealed file key of a stream may have. */
export const maxSealedFileKeyBytes = 1_024;

/** Nesting that a JSON value may have. */
export const maxJsonDepth = 100;

/** Decimal digits that a bigint value may have. */
export const maxBigintDigits = 4_096;
