import { describe, expect, it } from "vitest";
import { apiPlaces, type OpenPlace } from "../../support/api-places.ts";
import { type ApiPart, partOf } from "./api-methods.ts";
import { recorded } from "./recorded.ts";

/** Runs a part of the suite at every place, and sees that each method of the part has answered there. */
export function everywhere(part: ApiPart, tests: (openPlace: OpenPlace) => void): void {
  describe.each(Object.entries(apiPlaces))("%s", (_, openPlace) => {
    const answered = new Set<string>();
    tests(async (databases) => {
      const place = await openPlace(databases);
      return {
        ...place,
        api: recorded(place.api, answered),
        person: async (name) => recorded(await place.person(name), answered),
      };
    });

    it("has had an answer from each method of this part", () => {
      const methods = Object.entries(partOf).filter(([, its]) => its === part);
      expect(methods.map(([method]) => method).filter((method) => !answered.has(method))).toEqual([]);
    });
  });
}
