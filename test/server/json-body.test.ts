import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson } from "../../src/server/json-body.ts";

const limits = { jsonDepth: 8, jsonValues: 100 };
const place = "the place of an object";

/** JSON values within the limits, none of which names a prototype. */
const values = fc.jsonValue({ maxDepth: 4 }).filter((value) => !/__proto__|constructor/.test(JSON.stringify(value)));

function read(text: string): unknown {
  return parseJson(Buffer.from(text), limits);
}

describe("JSON of which nothing is known", () => {
  it("is what JSON.parse makes of it, with whatever spaces", () => {
    fc.assert(
      fc.property(values, fc.nat({ max: 3 }), (value, spaces) => {
        const text = JSON.stringify(value, undefined, spaces);
        expect(parseJson(Buffer.from(text), { jsonDepth: 8, jsonValues: 100_000 })).toEqual(JSON.parse(text));
      }),
    );
  });

  it("is refused wherever an object names a field twice", () => {
    fc.assert(
      fc.property(values, values, values, fc.nat({ max: 2 }), fc.string({ minLength: 1 }), (first, second, around, spaces, name) => {
        fc.pre(name !== "__proto__" && name !== "constructor");
        const named = JSON.stringify(name);
        const twice = `{${named}:${JSON.stringify(first)},"other":null,${named}:${JSON.stringify(second, undefined, spaces)}}`;
        const text = JSON.stringify({ around, inner: [place] }, undefined, spaces).replace(JSON.stringify(place), () => twice);
        fc.pre(name !== "other");
        expect(() => parseJson(Buffer.from(text), { jsonDepth: 16, jsonValues: 100_000 })).toThrow("names a field twice");
      }),
    );
  });

  it.each([
    // What a number loses on its way, a field that was dropped must not make up for.
    '{"a":1,"a":100000000000000000000}',
    '{"a":1e9,"b":0,"b":0}',
    '{"a":"\\u0061","a":""}',
    '{"a":1,"\\u0061":1}',
    '{"é":1, "é":2}',
  ])("is refused where it names a field twice: %s", (text) => {
    expect(() => read(text)).toThrow("names a field twice");
  });

  it.each(['{"a":1e2}', '{"a": "b" , "c":[ ] }', '{"a":"\\"a\\":"}', '{"a":-0}', '""', "[]", "true", "{}"])("is taken: %s", (text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });

  it("is refused when it is nested deeper, or holds more values, than it may", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(read(nested(8))).toEqual([[[[[[[[]]]]]]]]);
    expect(() => read(nested(9))).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
    expect(() => read(nested(100_000))).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
    expect(read(`[${"0,".repeat(98)}0]`)).toHaveLength(99);
    expect(() => read(`[${"0,".repeat(99)}0]`)).toThrow(expect.objectContaining({ code: "TOO_LARGE" }));
  });

  it.each(['{"__proto__":{}}', '{"a":[{"__proto__":1}]}', '{"constructor":{"prototype":{}}}'])(
    "is refused where it names a prototype: %s",
    (text) => {
      expect(() => read(text)).toThrow("names a prototype");
    },
  );
});
