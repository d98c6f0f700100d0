import { onTestFinished } from "vitest";
import { OidcAuthenticator } from "../../../../src/access/oidc/oidc-authenticator.ts";
import type { OidcIssuersInput } from "../../../../src/access/oidc/settings.ts";
import type { Caller } from "../../../../src/access/caller.ts";
import { isKeysteadError } from "../../../../src/errors.ts";
import { TestClock } from "../../../support/test-clock.ts";
import { TestIssuer } from "./test-issuer.ts";

type IssuerInput = OidcIssuersInput[string];

/** An issuer, and an authenticator that knows it as `main`. */
export async function startOidc(
  settings: Partial<IssuerInput> = {},
): Promise<{ readonly issuer: TestIssuer; readonly oidc: OidcAuthenticator; readonly clock: TestClock }> {
  const clock = new TestClock();
  const issuer = await TestIssuer.start(clock);
  const oidc = await openOidc({ main: { issuer: issuer.url, audience: "keystead", allowHttpLoopback: true, ...settings } }, clock);
  return { issuer, oidc, clock };
}

/** An authenticator that ends with the test. */
export async function openOidc(issuers: OidcIssuersInput, clock: TestClock): Promise<OidcAuthenticator> {
  const oidc = await OidcAuthenticator.open(issuers, clock);
  onTestFinished(() => oidc.close());
  return oidc;
}

/** What becomes of a token: its caller, `undefined` when it is of another kind, or the code of the error with its reason. */
export async function outcome(oidc: OidcAuthenticator, token: string): Promise<Caller | string | undefined> {
  try {
    return await oidc.authenticate(token);
  } catch (error) {
    if (!isKeysteadError(error)) throw error;
    return `${error.code}: ${error.cause instanceof Error ? error.cause.message : ""}`;
  }
}
