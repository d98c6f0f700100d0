/** An identifier for SQL: quoted, so that keywords, spaces, capitals and quotes mean themselves. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The table, in the database file itself and never in a temporary or attached one. */
export function quoteTable(name: string): string {
  return `"main".${quoteIdentifier(name)}`;
}
