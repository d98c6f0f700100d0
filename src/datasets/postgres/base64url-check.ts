/**
 * SQL that is true when a text is base64url as it is written for some bytes: without padding or spare bits set. The text has
 * collation "C".
 */
export function isBase64url(text: string): string {
  const last = `right(${text}, 1)`;
  return (
    `${text} !~ '[^A-Za-z0-9_-]' and case octet_length(${text}) % 4 when 0 then true ` +
    `when 2 then strpos('AQgw', ${last}) > 0 when 3 then strpos('AEIMQUYcgkosw048', ${last}) > 0 else false end`
  );
}
