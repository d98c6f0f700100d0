import { z } from "zod";
import type { KeysteadApi } from "../keystead-api.ts";
import { answerLines, type Batching } from "../line-batches.ts";
import type { LineRoute } from "../route.ts";
import { lineRoute, type Nothing, type Row, usual } from "../route-row.ts";
import { itemProblem } from "../schemas/common.ts";
import {
  dataKey,
  dataKeyItem,
  hashed,
  hashItem,
  judged,
  macItem,
  openedItem,
  openedKey,
  openItem,
  randomBytes,
  randomItem,
  rewrapItem,
  sealed,
  sealedKeyItem,
  sealItem,
  tagged,
  tokensFound,
  tokensItem,
  verifyItem,
} from "../schemas/data.ts";
import { dataMany, problemJson } from "./data-many.ts";

/** Operations on data for as many items as there are: a line each, answered in order, up to 500 of them by one batch. */
export const streamRoutes = {
  "POST /v1/streams/encrypt": stream("data.encrypt", "Seal line by line.", sealItem, sealed, dataMany.encrypt),
  "POST /v1/streams/decrypt": stream("data.decrypt", "Open line by line.", openItem, openedItem, dataMany.decrypt),
  "POST /v1/streams/rewrap": stream("data.rewrap", "Move ciphertext line by line.", rewrapItem, sealed, dataMany.rewrap),
  "POST /v1/streams/mac": stream("data.mac", "Make tags line by line.", macItem, tagged, dataMany.mac),
  "POST /v1/streams/mac/verify": stream("data.verify-mac", "Check tags line by line.", verifyItem, judged, dataMany.verifyMac),
  "POST /v1/streams/data-keys": {
    ...stream("data-keys.create-plain", "Make data keys line by line.", dataKeyItem, dataKey, dataMany.createDataKeys),
    otherActions: ["data-keys.create"],
  },
  "POST /v1/streams/data-keys/open": stream(
    "data-keys.open",
    "Open sealed data keys line by line.",
    sealedKeyItem,
    openedKey,
    dataMany.openDataKeys,
  ),
  "POST /v1/streams/hash": stream("data.hash", "Hash line by line.", hashItem, hashed, dataMany.hash),
  "POST /v1/streams/random": stream("data.random", "Random bytes line by line.", randomItem, randomBytes, dataMany.random, {
    weigh: ({ bytes }) => bytes,
  }),
  "POST /v1/streams/index": stream("data.index", "Tokens of blind indexes line by line.", tokensItem, tokensFound, dataMany.index),
} as const;

type Problem = z.input<typeof itemProblem>;

function stream<B extends z.ZodType, R, A>(
  action: string,
  summary: string,
  body: B,
  answer: z.ZodType<A, R>,
  many: (keystead: KeysteadApi, items: readonly z.output<B>[]) => Promise<readonly (R | Problem)[]>,
  batching?: Batching<z.output<B>>,
): Row<LineRoute<Nothing, Nothing, B, z.ZodType<A | z.output<typeof itemProblem>, R | Problem>>> {
  return lineRoute<Nothing, Nothing, B, z.ZodType<A | z.output<typeof itemProblem>, R | Problem>>({
    ...usual,
    summary,
    tag: "data",
    action,
    idempotent: true,
    body,
    answer: z.union([itemProblem, answer]),
    handle: (keystead, { body: lines }, call) => answerLines(lines, call, (items) => many(keystead, items), problemJson, batching),
  });
}
