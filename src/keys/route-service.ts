import { assertArguments, object, optional, text } from "../arguments.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { parseKekUri } from "../kek/kek-uri.ts";
import { asked, audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { recordableKekUri, withKek } from "./kek-records.ts";
import { findPurpose } from "./purpose-records.ts";

/** Which keys a route is for; neither part: the default route. */
export interface RouteSelector {
  readonly purpose?: string;
  /** Whole leading segments of key names. */
  readonly namePrefix?: string;
}

const routeArguments = {
  selector: object<RouteSelector>({ purpose: optional(text), namePrefix: optional(text) }),
  kekUri: text,
};

/** A provider route. */
export interface RouteInfo extends RouteSelector {
  readonly kekUri: string;
}

/** Which KEK wraps the keys of which purposes and name prefixes. New keys follow; existing ones stay until re-wrapped. */
export class RouteService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every route, the default first. */
  async list(): Promise<RouteInfo[]> {
    const rows = await asked(this.#engine, { action: "routes.list", terms: {} }, () =>
      this.#engine.store.read((tables) => tables.routes.list()),
    );
    return rows
      .map(({ purpose, namePrefix, kekUri }) => ({
        ...(purpose !== null && { purpose }),
        ...(namePrefix !== null && { namePrefix }),
        kekUri,
      }))
      .sort((a, b) => `${a.purpose ?? ""} ${a.namePrefix ?? ""}`.localeCompare(`${b.purpose ?? ""} ${b.namePrefix ?? ""}`, "en"));
  }

  /**
   * Sends the selected keys to a KEK; the KEK is opened first.
   * @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_PURPOSE`, `UNKNOWN_KEK`, `WRONG_MASTER_KEY`
   * @example
   * await keystead.routes.set({ purpose: "medical" }, "local:medical");
   */
  async set(selector: RouteSelector, kekUri: string): Promise<RouteInfo> {
    assertArguments({ selector, kekUri }, routeArguments);
    const { purpose = null, namePrefix = null } = selector;
    const detail = { purpose, namePrefix, kek: recordableKekUri(kekUri) };
    return audited(this.#engine, { action: "routes.set", detail, terms: {} }, async () => {
      const uri = parseKekUri(kekUri).toString();
      if (namePrefix !== null && !isKeyName(namePrefix))
        throw new KeysteadError("INVALID_ARGUMENT", "a name prefix is whole segments of a key name, without a slash at its end");
      await withKek(this.#engine, uri, async (tables) => {
        if (purpose !== null) await findPurpose(tables, purpose);
        const [existing] = await tables.routes.list({ purpose, namePrefix });
        if (existing === undefined) await tables.routes.insert({ id: randomUuid(this.#engine.random), purpose, namePrefix, kekUri: uri });
        else await tables.routes.update({ ...existing, kekUri: uri });
      });
      return { ...selector, kekUri: uri };
    });
  }
}
