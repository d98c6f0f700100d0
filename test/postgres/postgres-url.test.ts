import { describe, expect, it } from "vitest";
import type { KeysteadError } from "../../src/errors.ts";
import { parsePostgresUrl } from "../../src/postgres/postgres-url.ts";

const parse = (url: string) => parsePostgresUrl(url, ["schema"]);

describe("the URL of a PostgreSQL database", () => {
  it("names host, port, user and database", () => {
    expect(parse("postgresql://anna@db.internal:5433/crm")).toMatchObject({
      hosts: [{ host: "db.internal", port: 5433 }],
      user: "anna",
      password: undefined,
      database: "crm",
      sslMode: "verify-full",
      display: "postgresql://anna@db.internal:5433/crm",
    });
    expect(parse("postgres://[::1]/a%20b")).toMatchObject({
      hosts: [{ host: "::1", port: 5432 }],
      user: undefined,
      database: "a b",
      sslMode: "disable",
    });
    expect(parse("postgresql://%2Frun%2Fpostgresql/crm").hosts).toEqual([{ host: "/run/postgresql", port: 5432 }]);
  });

  it("may name several hosts, of which it wants the primary", () => {
    expect(parse("postgresql://anna:s%3Acret@a:5433,[::1],10.0.0.3:1/crm?target_session_attrs=read-write&schema=s")).toMatchObject({
      hosts: [
        { host: "a", port: 5433 },
        { host: "::1", port: 5432 },
        { host: "10.0.0.3", port: 1 },
      ],
      user: "anna",
      password: "s:cret",
      sslMode: "verify-full",
      display: "postgresql://anna@a:5433,[::1],10.0.0.3:1/crm?target_session_attrs=read-write&schema=s",
    });
    expect(parse("postgres://127.0.0.1:1,localhost:2/d").sslMode).toBe("disable");
    expect(parse("postgres://127.0.0.1:1,h:2/d").sslMode).toBe("verify-full");
  });

  it("shows no password", () => {
    const url = parse("postgresql://anna:s%3Acret@127.0.0.1/crm");
    expect(url).toMatchObject({ password: "s:cret", display: "postgresql://anna@127.0.0.1/crm" });
  });

  it.each(["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "%2Frun"])("does not encrypt to %s, which is this machine", (host) => {
    expect(parse(`postgresql://${host}/crm`).sslMode).toBe("disable");
  });

  it("takes files for TLS and for passwords, and the parameters that are allowed", () => {
    const url = parse("postgresql://h/d?sslmode=verify-ca&sslrootcert=/ca&sslcert=/c&sslkey=/k&passfile=/p&schema=s");
    expect(url).toMatchObject({
      sslMode: "verify-ca",
      tls: { ca: "/ca", certificate: "/c", key: "/k" },
      passwordFile: "/p",
      parameters: { schema: "s" },
    });
  });

  it.each([
    "",
    "crm",
    "mysql://h/d",
    "postgresql://h",
    "postgresql://h/",
    "postgresql:///d",
    "postgresql://h/d/e",
    "postgresql://h/d#f",
    "postgresql://h:0x1/d",
    "postgresql://%zz/d",
    "postgresql://h/%ff",
    "postgresql://h/d?sslmode=require",
    "postgresql://h/d?sslmode=prefer",
    "postgresql://h/d?sslmode=",
    "postgresql://h/d?sslmode=disable&sslrootcert=/ca",
    "postgresql://h/d?sslcert=/c",
    "postgresql://h/d?sslkey=/k",
    "postgresql://h/d?schema=a&schema=b",
    "postgresql://h/d?host=other",
    "postgresql://a,,b/d",
    "postgresql://a:1,b:x/d",
    "postgresql://,/d",
    `postgresql://${Array(17).fill("h").join(",")}/d`,
    "postgresql://h/d?target_session_attrs=any",
    "postgresql://h/d?target_session_attrs=standby",
    "postgresql://h/d?toString=1",
  ])("refuses %j", (url) => {
    expect(() => parse(url)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }) as KeysteadError);
  });

  it("never repeats a password in an error", () => {
    for (const url of [
      "postgresql://a:canary-7@h/d?sslmode=no",
      "postgresql://a:canary-7@/d",
      "postgresql://a:canary-7@h,,/d",
      "postgresql://a:canary-7@h,h:x/d",
      "postgresql://a:canary-7%zz@h/d",
    ]) {
      try {
        parse(url);
        expect.unreachable();
      } catch (error) {
        expect(String(error)).not.toContain("canary-7");
      }
    }
  });
});
