import { Agent, request } from "undici";
import type { OidcIssuerSettings } from "./settings.ts";

/** An answer with more than this, in bytes, is not read to its end. */
const maxResponseSize = 524_288;
/** Less than the five seconds after which many servers close an idle connection. */
const keepAliveTimeout = 4_000;

/** A form to post, with who posts it. */
export interface ProviderForm {
  readonly authorization: string;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Asks one identity provider. Answers are JSON, at most 512 KiB, and come within the time-out, or the request fails. Redirects are never
 * followed, and nothing is taken from the environment: only the addresses of the configuration, and of discovery at the issuer, are asked.
 */
export class ProviderClient {
  readonly #agent: Agent;
  readonly #timeout: number;

  /** @param authorities - Certificates (PEM) that alone are trusted; those that come with Node when absent. */
  constructor({ timeoutSeconds }: Pick<OidcIssuerSettings, "timeoutSeconds">, authorities: string | undefined) {
    this.#timeout = timeoutSeconds * 1_000;
    this.#agent = new Agent({
      connections: 16,
      keepAliveTimeout,
      maxResponseSize,
      connect: { timeout: this.#timeout, ...(authorities !== undefined && { ca: authorities }) },
    });
  }

  /** The JSON at an address. */
  async get(address: string): Promise<unknown> {
    return this.#ask(address, undefined);
  }

  /** The JSON that answers a form. */
  async post(address: string, form: ProviderForm): Promise<unknown> {
    return this.#ask(address, form);
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask(address: string, form: ProviderForm | undefined): Promise<unknown> {
    const { statusCode, body } = await request(address, {
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(this.#timeout),
      headers: { accept: "application/json", ...(form !== undefined && formHeaders(form)) },
      ...(form !== undefined && { method: "POST", body: new URLSearchParams(form.fields).toString() }),
    });
    const text = await body.text();
    if (statusCode >= 300 && statusCode < 400)
      throw new Error(`${address} answers with a redirect, which is not followed; configure the address that it leads to`);
    if (statusCode !== 200) throw new Error(`${address} answers with status ${String(statusCode)}`);
    return parseJson(text, address);
  }
}

function formHeaders({ authorization }: ProviderForm): Record<string, string> {
  return { authorization, "content-type": "application/x-www-form-urlencoded" };
}

/** Without the text of an answer in the error: it may hold what is not for logs. */
function parseJson(text: string, address: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${address} does not answer with JSON`);
  }
}
