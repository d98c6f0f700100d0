import { z } from "zod";
import type { Session } from "./postgres-connection.ts";

/** A step of a query's plan, and those below it. */
export interface QueryPlan {
  readonly "Node Type": string;
  /** Rows that the planner expects. */
  readonly "Plan Rows": number;
  readonly Plans?: readonly QueryPlan[] | undefined;
}

const planSchema: z.ZodType<QueryPlan> = z.lazy(() =>
  z.object({ "Node Type": z.string(), "Plan Rows": z.number(), Plans: z.array(planSchema).optional() }),
);
const explanationSchema = z.tuple([z.object({ Plan: planSchema })]);

/** How PostgreSQL would run a query, which is not run. */
export async function explain(session: Session, query: string): Promise<QueryPlan> {
  const [row] = await session.rows(`explain (format json) ${query}`);
  const [{ Plan: plan }] = explanationSchema.parse(JSON.parse(row?.[0] ?? ""));
  return plan;
}
