import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { ServedCalls } from "../../src/client/served-calls.ts";
import { partOf } from "./support/api-methods.ts";

/** What the client has beside the shared interface. */
const ofClientAlone = ["constructor", "streams"];

it("calls every method of the interface that embedded and served engine share", async () => {
  await using client = new KeysteadClient({ url: "http://127.0.0.1:1", token: "none" });
  const members = Object.entries(client).flatMap(([name, member]: [string, unknown]) =>
    typeof member === "object" && member !== null ? Object.keys(member).map((method) => [name, `${name}.${method}`]) : [[name, name]],
  );
  const ofPrototype = Object.getOwnPropertyNames(ServedCalls.prototype).map((name) => [name, name]);
  const shared = [...members, ...ofPrototype].filter(([name = ""]) => !ofClientAlone.includes(name)).map(([, path]) => path);
  expect(shared.sort()).toEqual(Object.keys(partOf).sort());
});

it.each([...new Set(Object.values(partOf))])("has a file for the part %s, which is run at every place", (part) => {
  const text = readFileSync(new URL(`one-behaviour-${part}.test.ts`, import.meta.url), "utf8");
  expect(text).toContain(`\neverywhere("${part}", (openPlace) => {\n`);
});
