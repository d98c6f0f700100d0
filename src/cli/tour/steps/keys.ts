import type { KeyInfo } from "../../../index.ts";
import type { StepOutcome } from "../report.ts";
import { reason, searchKey, type Tour, type TourPlan } from "../tour.ts";

/** Creates a key for each purpose, and one for blind indexes where there are any. */
export async function createKeys({ keystead }: Tour, { purposes, searches }: TourPlan): Promise<StepOutcome<readonly KeyInfo[]>> {
  const keys: KeyInfo[] = [];
  for (const purpose of purposes) {
    keys.push(await keystead.keys.create({ name: purpose, purpose }));
    await keystead.purposes.set(purpose, { defaultKey: purpose });
  }
  if (searches.length > 0) keys.push(await keystead.keys.create({ name: searchKey, purpose: "pii", usage: "blind-index" }));
  return {
    result: keys,
    text: keys.map(({ name, versions }) => `${name} ${versions[0]?.label ?? ""}`).join(", "),
    details: ["XAES-256-GCM for values, HMAC-SHA-256 for blind indexes; all wrapped by the master key"],
  };
}

/** Makes a new version of every key that protects values; nothing that is stored changes. */
export async function rotateKeys({ keystead }: Tour, { purposes }: TourPlan): Promise<StepOutcome<readonly KeyInfo[]>> {
  const keys: KeyInfo[] = [];
  for (const purpose of purposes) keys.push(await keystead.keys.rotate(purpose, { reason }));
  const current = keys.map(({ name, versions }) => `${name} ${versions.find((version) => version.current)?.label ?? ""}`);
  return { result: keys, text: `now current: ${current.join(", ")}`, details: ["the old versions still open what they sealed"] };
}
