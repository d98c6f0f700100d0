/**
 * Characters that can be the last one, by the length modulo 4: those without spare bits set. No bytes have a length of 1 modulo 4.
 */
const lastCharacters: readonly (readonly [rest: number, characters: string])[] = [
  [2, "AQgw"],
  [3, "AEIMQUYcgkosw048"],
];

/**
 * SQL that is true when a text is base64url as it is written for some bytes: without padding or spare bits set. The text has
 * collation "C". Every function in it is immutable, so that an index can hold what it says.
 */
export function isBase64url(text: string): string {
  const cases = lastCharacters.map(([rest, characters]) => `when ${String(rest)} then strpos('${characters}', right(${text}, 1)) > 0`);
  return `${text} !~ '[^A-Za-z0-9_-]' and case octet_length(${text}) % 4 when 0 then true ${cases.join(" ")} else false end`;
}
