import { describe, expect, it } from "vitest";
import { z } from "zod";
import { isLeased, leaseOwner } from "../../src/datasets/job-lease.ts";

const identity = z
  .object({ host: z.string(), process: z.number(), start: z.string().optional(), namespace: z.string().optional() })
  .parse(JSON.parse(leaseOwner()));
const gone = { ...identity, process: 2 ** 22 + 1 };

describe("a job's lease", () => {
  it.each([
    { owner: "this process", leaseOwner: leaseOwner(), leased: true },
    {
      owner: "an earlier process with the same number",
      leaseOwner: JSON.stringify({ ...identity, start: identity.start?.replace(/\d+$/, "1") }),
      leased: identity.start === undefined,
    },
    { owner: "a process that is gone", leaseOwner: JSON.stringify(gone), leased: false },
    {
      owner: "a process of another boot",
      leaseOwner: JSON.stringify({ ...gone, host: "elsewhere", start: "another boot/1" }),
      leased: true,
    },
    {
      owner: "a process of another container",
      leaseOwner: JSON.stringify({ ...gone, namespace: "pid:[1]" }),
      leased: identity.start !== undefined,
    },
    { owner: "somebody who can't be read", leaseOwner: "{", leased: true },
    { owner: "somebody without a host", leaseOwner: "{}", leased: true },
    { owner: "nobody", leaseOwner: null, leased: true },
  ])("of $owner holds: $leased", ({ leaseOwner: owner, leased }) => {
    expect(isLeased({ leaseOwner: owner, leaseUntil: 1001 }, 1000)).toBe(leased);
    expect(isLeased({ leaseOwner: owner, leaseUntil: 1000 }, 1000)).toBe(false);
    expect(isLeased({ leaseOwner: owner, leaseUntil: null }, 1000)).toBe(false);
  });
});
