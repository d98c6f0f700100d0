import type { Pool } from "pg";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { mapPostgresError } from "./postgres-errors.ts";

/** Pauses between looks, in milliseconds, each twice as long as the one before. */
const pauses = { first: 10, longest: 250 } as const;

/** Commits nothing, without waiting for standbys. A standby says how far it is when it gets something, else every ten seconds. */
const nudge = "begin; set local synchronous_commit = local; select pg_current_xact_id(); commit";

const goalQuery = `select pg_current_wal_flush_lsn()::text as goal, current_setting('synchronous_standby_names') <> '' as "isSynchronous"`;

/**
 * Who follows the database. Left out are subscribers of logical replication and base backups, which can't take over, and receivers that
 * keep the log without applying it: those say what they have written, and never what they have applied.
 */
const followersQuery = `select r.application_name as name, r.state is null as "isHidden", r.sync_state in ('sync', 'quorum') as "isSynchronous",
    coalesce(r.replay_lsn >= $1::pg_lsn, r.write_lsn is not null) as "hasApplied"
  from pg_stat_replication r
  where r.state is distinct from 'backup'
    and not exists (select from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')`;

interface Follower {
  readonly name: string;
  readonly isHidden: boolean;
  readonly isSynchronous: boolean | null;
  readonly hasApplied: boolean;
}

/**
 * Waits until every standby that follows the database has applied what is committed by now.
 * https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
 *
 * @param patience - Milliseconds to wait at most.
 * @throws KeysteadError `STORE_BUSY` naming the standbys that have not, `STORE_FAILED` when that can't be seen, and what the database says
 */
export async function awaitStandbys(pool: Pool, clock: Clock, patience: number): Promise<void> {
  const until = clock.monotonic() + patience;
  try {
    const { rows } = await pool.query<{ goal: string; isSynchronous: boolean }>(goalQuery);
    const [wanted] = rows;
    if (wanted === undefined) throw new KeysteadError("INTERNAL", "the database did not say how far its log goes");
    for (let pause: number = pauses.first; ; pause = Math.min(2 * pause, pauses.longest)) {
      const problem = problemOf((await pool.query<Follower>(followersQuery, [wanted.goal])).rows, wanted.isSynchronous);
      if (problem === undefined) return;
      if (problem.code !== "STORE_BUSY" || clock.monotonic() + pause > until) throw problem;
      await pool.query(nudge);
      await clock.wait(pause);
    }
  } catch (error) {
    throw mapPostgresError(error);
  }
}

function problemOf(followers: readonly Follower[], wantsSynchronous: boolean): KeysteadError | undefined {
  if (followers.some(({ isHidden }) => isHidden)) {
    return new KeysteadError(
      "STORE_FAILED",
      "the database has standbys, and this user may not see how far they are: grant pg_read_all_stats to the store's user",
    );
  }
  const behind = followers.filter(({ hasApplied }) => !hasApplied).map(({ name }) => JSON.stringify(name));
  if (behind.length > 0) {
    return new KeysteadError(
      "STORE_BUSY",
      `the standby ${behind.join(", ")} has not applied what was committed, so a failover to it would lose that: ` +
        "find out why it is behind (pg_stat_replication), or detach it",
    );
  }
  if (!wantsSynchronous || followers.some(({ isSynchronous }) => isSynchronous === true)) return undefined;
  return new KeysteadError(
    "STORE_BUSY",
    "the database is to have a synchronous standby (synchronous_standby_names) and none is attached: start it, or change the setting",
  );
}
