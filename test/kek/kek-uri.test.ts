import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isKeysteadError } from "../../src/errors.ts";
import { type KekUri, parseKekUri } from "../../src/kek/kek-uri.ts";

function tryParse(text: string): KekUri | undefined {
  try {
    return parseKekUri(text);
  } catch (error) {
    if (isKeysteadError(error, "INVALID_ARGUMENT")) return undefined;
    throw error;
  }
}

describe("parseKekUri", () => {
  it.each([
    "local:main",
    "local:A.b_c~d-9",
    "hashivault://transit/keys/keystead",
    "hashivault://team/transit/keys/keystead",
    "openbao://transit/keys/keystead",
    "awskms:///arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "awskms:///arn:aws:kms:eu-central-1:111122223333:alias/keystead?region=eu-central-1",
    "awskms:///alias/keystead?region=eu-central-1",
    "gcpkms://projects/p-1/locations/europe-west3/keyRings/ring/cryptoKeys/key",
    "azurekms://vault.example.net/keys/keystead",
    "pkcs11:object=kek;token=Keystead%20test?module-path=/usr/lib/libsofthsm2.so&pin-source=file:/run/pin",
    "myhsm:slot/3",
    "myhsm://host:9000/keys/a?profile=x",
  ])("takes %s, which is canonical", (text) => {
    expect(parseKekUri(text).toString()).toBe(text);
    expect(JSON.stringify({ uri: parseKekUri(text) })).toBe(JSON.stringify({ uri: text }));
  });

  it.each([
    ["LOCAL:main", "local:main"],
    ["local:%6Dain", "local:main"],
    ["azurekms://Vault.EXAMPLE.net/keys/Keystead", "azurekms://vault.example.net/keys/Keystead"],
    ["pkcs11:token=a;object=b?pin-source=file:%2frun&module-path=m", "pkcs11:object=b;token=a?module-path=m&pin-source=file:/run"],
    ["myhsm:a%3ab?z=1&a=%c3%a4", "myhsm:a%3Ab?a=%C3%A4&z=1"],
  ])("gives %s one spelling", (text, canonical) => {
    expect(parseKekUri(text).toString()).toBe(canonical);
  });

  it("tells the parts", () => {
    const uri = parseKekUri("pkcs11:token=Keystead%20test;object=kek?module-path=/m.so");
    expect(uri.scheme).toBe("pkcs11");
    expect([...uri.attributes]).toEqual([
      ["object", "kek"],
      ["token", "Keystead test"],
    ]);
    expect([...uri.parameters]).toEqual([["module-path", "/m.so"]]);
    expect(parseKekUri("local:main").path).toBe("main");
    expect(parseKekUri("hashivault://transit/keys/k").path).toBe("transit/keys/k");
  });

  it.each([
    ["nothing", ""],
    ["no scheme", "main"],
    ["an empty name", "local:"],
    ["a slash in a local name", "local:a/b"],
    ["slashes before a local name", "local://main"],
    ["a local name that begins with a dot", "local:.."],
    ["a long local name", `local:${"a".repeat(65)}`],
    ["a parameter that the scheme lacks", "local:main?file=/etc/key"],
    ["a user", "hashivault://user@transit/keys/k"],
    ["a user and a password", "azurekms://user:secret@vault.example.net/keys/k"],
    ["a user of an unknown scheme", "myhsm://user@host/slot"],
    ["a password", "myhsm:slot?password=hunter2"],
    ["a PIN value", "pkcs11:object=k?pin-value=1234"],
    ["a PIN as attribute", "pkcs11:object=k;pin-value=1234"],
    ["a token parameter", "myhsm:slot?auth-token=abc"],
    ["a secret key", "myhsm:slot?secret-key=abc"],
    ["a fragment", "local:main#x"],
    ["a space", "local:ma in"],
    ["a newline", "local:main\n"],
    ["an escaped control character", "myhsm:a%00b"],
    ["an escaped newline", "pkcs11:object=a%0Ab"],
    ["a bad escape", "myhsm:a%2"],
    ["an escape that is not UTF-8", "myhsm:%ff"],
    ["a character that needs an escape", 'myhsm:a"b'],
    ["letters beyond ASCII", "local:schlüssel"],
    ["the same parameter twice", "awskms:///alias/k?region=a&region=b"],
    ["the same attribute twice", "pkcs11:object=a;object=b"],
    ["a parameter without value", "awskms:///alias/k?region="],
    ["an empty query", "awskms:///alias/k?"],
    ["no key", "hashivault://transit"],
    ["dots in a path", "hashivault://../keys/k"],
    ["an authority for AWS", "awskms://kms.example.net/alias/k"],
    ["an incomplete Google name", "gcpkms://projects/p/locations/l/keyRings/r"],
    ["too much", `myhsm:${"a".repeat(1019)}`],
  ])("refuses %s", (_, text) => {
    expect(() => parseKekUri(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  it("does not repeat a credential in its refusal", () => {
    for (const text of ["myhsm:slot?password=hunter2", "azurekms://user:hunter2@vault/keys/k", "pkcs11:object=k?pin-value=hunter2"]) {
      expect(() => parseKekUri(text)).toThrow(expect.not.stringContaining("hunter2") as string);
    }
  });

  it("is total, and its canonical text reads as itself", () => {
    const piece = fc.constantFrom(
      "local",
      "awskms",
      "pkcs11",
      "myhsm",
      ":",
      "/",
      "//",
      "?",
      "&",
      ";",
      "=",
      "%41",
      "%2f",
      "%",
      "@",
      "#",
      "a",
      "region",
      "keys",
      "é",
      "\0",
    );
    const nearly = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""));
    let taken = 0;
    fc.assert(
      fc.property(
        fc.oneof(
          nearly,
          fc.string({ unit: "binary" }),
          fc.webUrl(),
          nearly.map((text) => `myhsm:${text}`),
        ),
        (text) => {
          const uri = tryParse(text);
          if (uri === undefined) return;
          taken++;
          expect(parseKekUri(uri.toString()).toString()).toBe(uri.toString());
          expect(uri.toString()).toMatch(/^[\x21-\x7e]{1,1024}$/);
        },
      ),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(50);
  });
});
