import { expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";
import { openPersons, personDataset } from "./support/persons.ts";

everywhere("jobs", (openPlace) => {
  it("pauses a job when its caller stops, and goes on with it", async () => {
    const { api } = await openPersons(openPlace, 3000);
    await api.datasets.add("crm.person", personDataset);
    expect(await codeOf(api.jobs.show("crm.person"))).toBe("UNKNOWN_JOB");
    const stop = new AbortController();
    const options = { rowsPerSecond: 500, signal: stop.signal, onProgress: () => stop.abort() };
    expect(await api.datasets.protect("crm.person", options)).toMatchObject({ state: "paused" });
    const { id, state } = await api.jobs.show("crm.person");
    expect(state).toBe("paused");
    expect(await api.jobs.resume("crm.person", { rowsPerSecond: 1_000_000 })).toMatchObject({ id, state: "done" });
    expect((await api.datasets.takeCensus("crm.person")).columns).toMatchObject([{ plaintext: 0 }]);
    expect(await api.datasets.reencrypt("crm.person")).toMatchObject({ state: "done" });
    expect(await api.jobs.show("crm.person")).toMatchObject({ kind: "reencrypt", state: "done", progress: { scanned: 3000 }, workers: [] });
    expect((await api.jobs.list()).map(({ kind, state }) => [kind, state])).toEqual([
      ["reencrypt", "done"],
      ["protect", "done"],
    ]);
    for (const act of [api.jobs.pause, api.jobs.cancel, api.jobs.resume]) expect(await codeOf(act("crm.person"))).toBe("CONFLICT");
    for (const act of [api.jobs.show, api.jobs.resume]) expect(await codeOf(act("elsewhere"))).toBe("UNKNOWN_DATASET");
  });

  it("ends a dry run for good where another job would be paused", async () => {
    const { api } = await openPersons(openPlace, 3000);
    await api.datasets.add("crm.person", personDataset);
    const started = await api.backgroundJobs.start("crm.person", { kind: "protect", options: { rowsPerSecond: 100, dryRun: true } });
    expect(started).toMatchObject({ state: "running", dryRun: true });
    expect(await api.jobs.pause("crm.person")).toMatchObject({ id: started.id, state: "cancelled", dryRun: true });
    for (const act of [api.jobs.resume, api.jobs.pause, api.jobs.cancel]) expect(await codeOf(act("crm.person"))).toBe("CONFLICT");
    // Its worker goes once it has heard of it.
    await expect.poll(async () => (await api.jobs.show("crm.person")).workers, { timeout: 10_000 }).toEqual([]);
    const stop = new AbortController();
    const options = { rowsPerSecond: 500, dryRun: true, signal: stop.signal, onProgress: () => stop.abort() };
    expect(await api.datasets.protect("crm.person", options)).toMatchObject({ state: "cancelled" });
    expect((await api.datasets.takeCensus("crm.person")).columns).toMatchObject([{ plaintext: 3000 }]);
  });

  it("starts a job that goes on by itself, tells how it is, pauses it and cancels it", async () => {
    const { api } = await openPersons(openPlace, 3000);
    await api.datasets.add("crm.person", personDataset);
    const started = await api.backgroundJobs.start("crm.person", { kind: "protect", options: { rowsPerSecond: 100 } });
    expect(started).toMatchObject({ dataset: "crm.person", kind: "protect", state: "running", rowsPerSecond: 100 });
    expect(await codeOf(api.datasets.verify("crm.person"))).toBe("CONFLICT");
    const never = new AbortController().signal;
    const sightings = api.backgroundJobs.watch("crm.person", never);
    expect((await sightings.next()).value).toMatchObject({ job: { id: started.id, state: "running" } });
    expect(await api.jobs.pause("crm.person")).toMatchObject({ id: started.id, state: "paused" });
    const seen = [];
    for await (const sighting of sightings) seen.push(sighting);
    expect(seen.at(-1)).toMatchObject({ job: { id: started.id, state: "paused" }, result: { id: started.id, state: "paused" } });
    expect(await codeOf(api.jobs.pause("crm.person"))).toBe("CONFLICT");
    expect(await api.jobs.cancel("crm.person")).toMatchObject({ id: started.id, state: "cancelled" });
    expect(await codeOf(api.backgroundJobs.start("crm.person", { kind: "resume" }))).toBe("CONFLICT");
    const verified = await api.backgroundJobs.start("crm.person", { kind: "verify" });
    expect(verified.id).not.toBe(started.id);
    const ends = [];
    for await (const { result } of api.backgroundJobs.watch("crm.person", never)) ends.push(result);
    expect(ends.at(-1)).toMatchObject({ id: verified.id, kind: "verify", state: "done" });
    expect(await codeOf(api.backgroundJobs.start("elsewhere", { kind: "verify" }))).toBe("UNKNOWN_DATASET");
    expect(await codeOf(api.backgroundJobs.watch("elsewhere", never).next())).toBe("UNKNOWN_DATASET");
  });
});
