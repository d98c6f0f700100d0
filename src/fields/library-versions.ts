/**
 * Versions of the libraries that decide what a normalised value or a phonetic code is. They go into the derivation of index
 * keys: with another version comes another generation of the index. They equal the exact ranges in `package.json`.
 */
export const libraryVersions = {
  "double-metaphone": "2.0.1",
  "libphonenumber-js": "1.13.16",
  validator: "13.15.35",
} as const;

/** Version text of something of ours that stands on a library: `1/validator@13.15.35`. */
export function versionWith(own: number, library: keyof typeof libraryVersions): string {
  return `${own}/${library}@${libraryVersions[library]}`;
}
