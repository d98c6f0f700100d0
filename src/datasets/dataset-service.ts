import { assertArguments } from "../arguments.ts";
import type { RecordDefinition } from "../fields/field-specification.ts";
import type { IndexPlan } from "../fields/index-planner.ts";
import { KeysteadError } from "../errors.ts";
import { asked, auditedOnKey } from "../keys/audited.ts";
import type { ItemProblem } from "../keys/data-acts.ts";
import type { Engine } from "../keys/engine.ts";
import { findKeyById } from "../keys/key-records.ts";
import { describeVersion } from "../keys/keyset.ts";
import { auditedFind, auditedManyTokens, auditedTokens, type TokensItem } from "./audited-search.ts";
import { type Census, takeCensus } from "./census.ts";
import { contextColumns, type ContextTypes } from "./context-types.ts";
import type { Codecs } from "./codecs.ts";
import type { Databases } from "./databases.ts";
import { datasetArguments as rules } from "./dataset-arguments.ts";
import { askedOnDataset, auditedOnDataset, keysNamedBy } from "./dataset-acts.ts";
import { withNextContext } from "./dataset-changes.ts";
import { type AddedDataset, type DatasetInfo, describeDataset } from "./dataset-info.ts";
import { type Dataset, findDataset, layoutOf, listDatasets, saveDefinition } from "./dataset-records.ts";
import { DatasetRegistration } from "./dataset-registration.ts";
import {
  type ContextMove,
  type DatasetIndexInput,
  type DatasetInput,
  type IndexGenerationInput,
  isShadow,
  parseContextMove,
} from "./definition.ts";
import type { FindOptions, FindResult, IndexSearch } from "./find-rows.ts";
import { assertNothingReplaced, dropGeneration, findSuccessor, searchBy } from "./generation-changes.ts";
import { registeredIndexes } from "./index-generations.ts";
import type { JobOptions, RecontextOptions, ReencryptOptions, RunOptions } from "./job-options.ts";
import type { JobResult } from "./job-run.ts";
import { type JoinRule, restartUnfinishedJobs } from "./job-record.ts";
import { JobRunner } from "./job-runner.ts";
import { indexesBeside, type PlannedIndex, planDatasetIndex } from "./plan-index.ts";
import type { JobKind } from "./row-tasks.ts";
import { type PlaintextJobResult, withRemains } from "./remains.ts";
import { assertErasable, assertInPlace, assertInStep, findErasable, findShadow, setPlaintextUse, shadowsOf } from "./shadow-changes.ts";
import { refuseSharedColumns } from "./shared-columns.ts";
import type { SourceDescription, TokenSearch } from "./source.ts";

/** How many values a key version still protects, in all datasets. */
export interface KeyCensusEntry {
  /** Label, `1-k7f2qd`. */
  readonly version: string;
  readonly count: number;
}

/** For what is decided by a look at every row. */
const wholeLook: JoinRule = { fresh: true };

/** Registered places of stored ciphertext, and moving what is in them. */
export class DatasetService {
  readonly #engine: Engine;
  readonly #databases: Databases;
  readonly #jobs: JobRunner;
  readonly #registration: DatasetRegistration;

  /** @param onJoin told of each job that is begun or joined here, before any work on it */
  constructor(engine: Engine, databases: Databases, codecs: Codecs, onJoin?: (id: string) => void) {
    this.#engine = engine;
    this.#databases = databases;
    this.#jobs = new JobRunner(engine, databases, codecs, onJoin);
    this.#registration = new DatasetRegistration(engine, databases);
  }

  /**
   * Registers a table. Nothing in it is changed.
   * @param name logical name, 1–128 characters; it stays when the table is renamed
   * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_KEY`, `KEY_USAGE`, `UNKNOWN_DATABASE`, `DATASET_UNSUITABLE`
   */
  async add(name: string, input: DatasetInput): Promise<AddedDataset> {
    assertArguments({ name, input }, rules.add);
    const act = { action: "datasets.add", dataset: name, terms: input, named: keysNamedBy(input) };
    return auditedOnDataset(this.#engine, act, () => this.#registration.add(name, input));
  }

  /**
   * Adds a blind index to a registered dataset. Nothing in the table is changed: searches on the index are refused until
   * {@link index} has filled it. An application that writes the dataset's rows has to write its tokens before that.
   * @param index logical name of the index, as dataset names are
   * @param input as in {@link add}; without `bits` the planner reads the column and decides
   * @throws KeysteadError `UNKNOWN_DATASET`, `CONFLICT` while a job works on the dataset, and as {@link add}
   */
  async addIndex(name: string, index: string, input: DatasetIndexInput): Promise<AddedDataset> {
    assertArguments({ name, index, input }, rules.addIndex);
    return auditedOnDataset(
      this.#engine,
      { action: "datasets.add-index", dataset: name, terms: { index, ...input }, named: keysNamedBy(input) },
      () => this.#registration.addIndex(name, index, input),
      () => ({ detail: { index } }),
    );
  }

  /**
   * Starts another generation of a blind index, in a column of its own under the current version of the index's key. Nothing in the
   * table is changed. From now on jobs, and applications that read the {@link recordDefinition} anew, write the tokens of both; once
   * every application does, {@link index} fills the rows that are there. Searches ask the generation before until {@link cutOver}.
   * @param input an empty column, and what is to differ: kind, normalisers, bits. Bits stay as they are, or are planned when the
   *   generation holds something else
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `CONFLICT` while another one is under way or a job works on the dataset,
   *   `KEY_STATE` when the current version protects nothing new, `DATASET_UNSUITABLE`, `DATABASE_FAILED`
   * @example
   * await keystead.keys.rotate("pii-index");
   * await keystead.datasets.startGeneration("crm.person", "email", { column: "email_index_2" });
   */
  async startGeneration(name: string, index: string, input: IndexGenerationInput): Promise<AddedDataset> {
    assertArguments({ name, index, input }, rules.addIndex);
    return auditedOnDataset(
      this.#engine,
      { action: "datasets.start-generation", dataset: name, terms: { index, ...input } },
      () => this.#registration.startGeneration(name, index, input),
      ({ indexes }) => ({ detail: { index, generation: indexes.filter((row) => row.index === index).length } }),
    );
  }

  /**
   * Makes a generation that is live the one that is searched. Both are still written, so that applications which search by the other
   * one are right, too, and so that cutting over to that goes back. First every row is looked at, as {@link index} does: a row
   * without its right tokens shows that some application does not write them.
   * @param generation number of the generation to search by
   * @returns how the look at the rows went; cut over is when it is `done`, and not a dry run
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `JOB_INCOMPLETE` while rows lack tokens, and as {@link protect}
   */
  async cutOver(name: string, index: string, generation: number, options: JobOptions = {}): Promise<JobResult> {
    assertArguments({ name, index, generation, options }, rules.cutOver);
    const { store } = this.#engine;
    return auditedOnDataset(
      this.#engine,
      { action: "datasets.cut-over", dataset: name, terms: { index, generation, ...options } },
      async () => {
        await store.read(async (tables) => findSuccessor(tables, await findDataset(tables, name), index, generation));
        const looked = await this.#start(name, "index", options, wholeLook);
        if (looked.state !== "done" || options.dryRun === true) return looked;
        assertNothingReplaced(looked, index);
        await store.transaction(async (tables) => {
          const dataset = await findDataset(tables, name);
          await searchBy(tables, dataset, await findSuccessor(tables, dataset, index, generation));
        });
        return looked;
      },
      ({ state }) => ({ detail: { index, generation, state, dryRun: options.dryRun === true } }),
    );
  }

  /**
   * Drops a generation: it is neither searched nor written any more. Once no application that was started before writes its tokens,
   * {@link index} takes them out of its column; then the column is the dataset's no more, and the key version is free to be destroyed.
   * The generation that is searched can be dropped only while the state of its key version lets nobody search it.
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `CONFLICT` when it is the one that is searched, and while a job works on
   *   the dataset
   */
  async dropGeneration(name: string, index: string, generation: number): Promise<DatasetInfo> {
    assertArguments({ name, index, generation }, rules.dropGeneration);
    const { store, clock } = this.#engine;
    return auditedOnDataset(
      this.#engine,
      { action: "datasets.drop-generation", dataset: name, terms: { index, generation } },
      () =>
        store.transaction(async (tables) => {
          await dropGeneration(tables, await findDataset(tables, name), index, generation, clock.now());
          return describeDataset(tables, await findDataset(tables, name));
        }),
      () => ({ detail: { index, generation } }),
    );
  }

  /** Every dataset, by name. */
  list(): Promise<DatasetInfo[]> {
    return asked(this.#engine, { action: "datasets.list", terms: {} }, () =>
      this.#engine.store.read(async (tables) =>
        Promise.all((await listDatasets(tables)).map((dataset) => describeDataset(tables, dataset))),
      ),
    );
  }

  /** One dataset. @throws KeysteadError `UNKNOWN_DATASET` */
  async show(name: string): Promise<DatasetInfo> {
    assertArguments({ name }, rules.name);
    return askedOnDataset(this.#engine, { action: "datasets.show", dataset: name, terms: {} }, () =>
      this.#engine.store.read(async (tables) => describeDataset(tables, await findDataset(tables, name))),
    );
  }

  /**
   * Seals every plaintext value under the current version and fills the blind indexes. Values that are protected already
   * are opened to be sure. A row that can't be worked on is reported and left alone.
   * @returns with `remains`, because the table's files and much else still have the plaintext
   * @throws KeysteadError `UNKNOWN_DATASET`, `CONFLICT`, `JOB_INCOMPLETE`, `DATABASE_FAILED`, `DATASET_UNSUITABLE`, key errors
   */
  async protect(name: string, options?: JobOptions): Promise<PlaintextJobResult> {
    const result = await this.#run(name, "protect", options);
    const dataset = await this.#engine.store.read((tables) => findDataset(tables, name));
    const inPlace = dataset.definition.columns.filter((column) => !isShadow(column)).map(({ column }) => column);
    return inPlace.length === 0 ? result : withRemains(this.#databases, dataset, inPlace, result);
  }

  /**
   * Moves every value to the current version of its column's key. Resumable: run it again after anything. With `from` it also takes
   * in what another system encrypted: such values are opened by that codec, sealed, and put into the blind indexes. What the codec does not
   * open is reported and left alone, plaintext included.
   * @throws KeysteadError as {@link protect}; with `from` also `UNKNOWN_CODEC`, `DECRYPTION_FAILED` when the codec opens none of the first
   *   500 values, and `INVALID_ARGUMENT`, `INSECURE_FILE` and `WRONG_MASTER_KEY` about its keys
   * @example
   * await keystead.datasets.reencrypt("crm.person", { from: "legacy", columns: ["email"] });
   */
  async reencrypt(name: string, options: ReencryptOptions = {}): Promise<JobResult> {
    assertArguments({ name, options }, rules.reencrypt);
    const { from, columns, leaveUnopened } = options;
    if (from === undefined && (columns !== undefined || leaveUnopened !== undefined))
      throw new KeysteadError("INVALID_ARGUMENT", "columns and leaveUnopened belong to a codec; give that, too, by `from`");
    if (columns?.length === 0) throw new KeysteadError("INVALID_ARGUMENT", "columns names no column; leave it out for all");
    return this.#start(name, from === undefined ? "reencrypt" : "import", options);
  }

  /** Opens every value and reports those that don't open; changes nothing. */
  verify(name: string, options?: JobOptions): Promise<JobResult> {
    return this.#run(name, "verify", options);
  }

  /** Makes every row's blind-index tokens anew, where they are missing or wrong. */
  index(name: string, options?: JobOptions): Promise<JobResult> {
    return this.#run(name, "index", options);
  }

  /**
   * Writes every value back as plaintext and takes its tokens away.
   * @throws KeysteadError as {@link protect}; `CONFLICT` while a column has its plaintext beside it
   */
  async unprotect(name: string, options: JobOptions = {}): Promise<JobResult> {
    assertArguments({ name, options }, rules.run);
    const looking = this.#engine.store.read(async (tables) => {
      assertInPlace(await findDataset(tables, name));
    });
    await looking.catch(() =>
      auditedOnDataset(this.#engine, { action: "datasets.unprotect", dataset: name, terms: options }, () => looking),
    );
    return this.#start(name, "unprotect", options);
  }

  /**
   * Lets the ciphertext of a column count in place of the plaintext beside it. Both are still written. First every row is looked at, as
   * {@link protect} does: a row whose ciphertext lacks or is of another value shows that some application writes plaintext alone.
   * @param column logical name
   * @returns how the look at the rows went; cut over is when it is `done`, and not a dry run
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `JOB_INCOMPLETE` while a row is out of step, and as {@link protect}
   */
  async cutOverColumn(name: string, column: string, options: JobOptions = {}): Promise<JobResult> {
    assertArguments({ name, column, options }, rules.column);
    const { store } = this.#engine;
    return auditedOnDataset(
      this.#engine,
      { action: "datasets.cut-over-column", dataset: name, terms: { column, ...options } },
      async () => {
        const { plaintext } = findShadow(await store.read((tables) => findDataset(tables, name)), column);
        if (plaintext.use !== "read")
          throw new KeysteadError(
            "INVALID_ARGUMENT",
            `column ${column} of dataset ${name} is cut over already; what is left is to erase it`,
          );
        const looked = await this.#lookForSteps(name, column, options);
        if (looked.state === "done" && options.dryRun !== true)
          await store.transaction(async (tables) => setPlaintextUse(tables, await findDataset(tables, name), column, "written"));
        return looked;
      },
      ({ state }) => ({ detail: { column, state, dryRun: options.dryRun === true } }),
    );
  }

  /**
   * Sets the plaintext beside a column to NULL, in every row whose ciphertext opens to the same value. The first time every row is
   * looked at before, and applications that read the definition anew write NULL from then on. Run it again when all of them were
   * started anew: once there was nothing to erase, the column of plaintext is the dataset's no more, and may be dropped.
   * @param column logical name
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `CONFLICT` before {@link cutOverColumn}, `DATASET_UNSUITABLE` for a column
   *   that is NOT NULL, `JOB_INCOMPLETE` while a row is out of step, and as {@link protect}
   */
  async eraseColumn(name: string, column: string, options: JobOptions = {}): Promise<PlaintextJobResult> {
    assertArguments({ name, column, options }, rules.column);
    const { store } = this.#engine;
    const act = { action: "datasets.erase-column", dataset: name, terms: { column, ...options } };
    const looking = store.read(async (tables) => {
      const dataset = await findDataset(tables, name);
      return { dataset, shadow: findErasable(dataset, column) };
    });
    // Whoever may not do it does not learn either why it can't be done.
    const { dataset, shadow } = await looking.catch(() => auditedOnDataset(this.#engine, act, () => looking));
    const { use } = shadow.plaintext;
    if (use === "written") {
      await assertErasable(this.#databases, dataset, shadow);
      const looked = await this.#lookForSteps(name, column, options);
      if (looked.state !== "done" || options.dryRun === true) return looked;
      await auditedOnDataset(this.#engine, act, () => store.transaction((tables) => setPlaintextUse(tables, dataset, column, "none")));
    }
    const erased = await this.#start(name, "erase", options);
    const { replaced, problems } = erased.progress;
    if (use === "none" && erased.state === "done" && options.dryRun !== true && replaced + problems === 0)
      await store.transaction((tables) => setPlaintextUse(tables, dataset, column, "erased"));
    return withRemains(this.#databases, dataset, [shadow.plaintext.column], erased);
  }

  /**
   * Moves every value to another context template. Until it is done, jobs and searches accept both. A value that can't be moved is
   * reported and left alone; it keeps the result `incomplete` and both templates accepted, unless it opens under neither and
   * `leaveUnopened` is given.
   * @param template the new template; absent: go on with the one that is under way; the one before: go back
   * @throws KeysteadError as {@link protect}; `CONFLICT` while the values move to another template, `INVALID_ARGUMENT`
   */
  async recontext(
    name: string,
    template: Readonly<Record<string, string>> | undefined,
    options: RecontextOptions = {},
  ): Promise<JobResult> {
    assertArguments({ name, template, options }, rules.recontext);
    const { contextTypes, ...job } = options;
    const move = contextMove(template, contextTypes);
    const dryRun = async (dataset: Dataset): Promise<Dataset> => withNextContext(dataset, move, await this.#declaredTypes(dataset, move));
    if (job.dryRun === true) return this.#start(name, "recontext", job, {}, dryRun);
    const act = { action: "datasets.set-context", dataset: name, terms: { template, ...options } };
    await auditedOnDataset(this.#engine, act, async () => {
      // A template that does not fit the table must not be stored: nothing would work on the dataset any more.
      const declared = await this.#declaredTypes(await this.#engine.store.read((tables) => findDataset(tables, name)), move);
      await this.#engine.store.transaction(async (tables) => {
        const found = await findDataset(tables, name);
        const moved = withNextContext(found, move, declared);
        await refuseSharedColumns(tables, moved);
        // A job that is on its way to the other template must not end as if it were this one.
        if (found.definition.nextContext !== null && moved !== found) await restartUnfinishedJobs(tables, found, this.#engine.clock.now());
        await saveDefinition(tables, moved.id, () => moved.definition);
      });
    });
    return this.#start(name, "recontext", job);
  }

  /** Counts everything in a dataset by SQL, without opening anything, and keeps the result. */
  async takeCensus(name: string, signal?: AbortSignal): Promise<Census> {
    assertArguments({ name, signal }, rules.takeCensus);
    return auditedOnDataset(this.#engine, { action: "datasets.census", dataset: name, terms: {} }, async () => {
      const dataset = await this.#engine.store.read((tables) => findDataset(tables, name));
      return takeCensus(this.#engine, this.#databases, dataset, signal);
    });
  }

  /**
   * How many values each version of a key protects, in every dataset ever registered, counted now.
   * @throws KeysteadError `UNKNOWN_KEY`, and `DATABASE_FAILED` when a dataset can't be reached
   */
  async census(nameOrAlias: string): Promise<KeyCensusEntry[]> {
    assertArguments({ nameOrAlias }, rules.census);
    return auditedOnKey(this.#engine, nameOrAlias, { action: "datasets.census", terms: {} }, (keyId) => this.#censusOfKey(keyId));
  }

  async #censusOfKey(keyId: string): Promise<KeyCensusEntry[]> {
    const { key, labels, datasets } = await this.#engine.store.read(async (tables) => {
      const key = await findKeyById(tables, keyId);
      const versions = await tables.versions.list({ keyId });
      return { key, labels: versions.map((row) => describeVersion(row).label), datasets: await listDatasets(tables) };
    });
    const counts = new Map<string, number>(labels.map((label) => [label, 0]));
    for (const dataset of datasets) {
      const { columns } = await takeCensus(this.#engine, this.#databases, dataset);
      for (const version of columns.flatMap((column) => column.versions)) {
        if (version.key === key.name) counts.set(version.version, (counts.get(version.version) ?? 0) + version.count);
      }
    }
    return [...counts].map(([version, count]) => ({ version, count }));
  }

  /**
   * Finds rows by a blind index; every hit is opened and compared, so what is returned is right. Whether it is all, and which
   * rows could not be compared, is part of the answer.
   * @param search one value per column of the index
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `JOB_INCOMPLETE` while rows may lack tokens, `CONFLICT` when that
   *   changed during the search, `CANCELLED`, `DATABASE_FAILED`, and errors of the store and of KEKs
   */
  async find(name: string, index: string, search: IndexSearch, options: FindOptions = {}): Promise<FindResult> {
    assertArguments({ name, index, search, options }, rules.find);
    return auditedFind(this.#engine, this.#databases, { dataset: name, index, values: search }, options);
  }

  /**
   * The tokens that rows with these values have, by column: one of the generation that is searched, and of every other live one. They
   * tell equal values apart, so whoever may ask for them can guess what a column holds.
   * @param search one value per column of the index
   * @throws KeysteadError as {@link find}
   */
  async tokens(name: string, index: string, search: IndexSearch): Promise<readonly TokenSearch[]> {
    assertArguments({ name, index, search }, rules.tokens);
    return auditedTokens(this.#engine, { dataset: name, index, values: search });
  }

  /**
   * As {@link tokens}, of up to 1,000 searches: each is asked for and fails alone; one record tells of all.
   * @returns for each item in order its tokens, or the problem with it
   * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE`, `AUDIT_UNAVAILABLE`
   */
  async tokensMany(items: readonly TokensItem[]): Promise<(readonly TokenSearch[] | ItemProblem)[]> {
    assertArguments({ items }, rules.tokensMany);
    return auditedManyTokens(this.#engine, items);
  }

  /**
   * What `defineFields()` needs so that the application and the jobs make the same bytes: context, types of its columns, blind indexes.
   * @throws KeysteadError `UNKNOWN_DATASET`
   * @example
   * const person = defineFields({ email: { key: "pii", type: "string" } }, await keystead.datasets.recordDefinition("crm.person"));
   */
  async recordDefinition(name: string): Promise<RecordDefinition> {
    assertArguments({ name }, rules.name);
    return askedOnDataset(this.#engine, { action: "datasets.show", dataset: name, terms: {} }, () =>
      this.#engine.store.read(async (tables) => {
        const dataset = await findDataset(tables, name);
        const { context, contextTypes, columns } = dataset.definition;
        const indexes = await registeredIndexes(tables, dataset);
        const shadows = shadowsOf(columns);
        const record = { context, contextColumns: contextColumns(context, contextTypes), indexes };
        return Object.keys(shadows).length === 0 ? record : { ...record, shadows };
      }),
    );
  }

  /**
   * Advises how many bits a blind index should keep, from the real frequencies of the values in the table and beside the dataset's
   * other indexes over the same columns.
   * @param index columns by logical name, kind, one normaliser per column
   * @throws KeysteadError `UNKNOWN_DATASET`, `INVALID_ARGUMENT`, `DATABASE_FAILED`
   */
  async planIndex(name: string, index: PlannedIndex): Promise<IndexPlan> {
    assertArguments({ name, index }, rules.planIndex);
    return auditedOnDataset(this.#engine, { action: "datasets.plan-index", dataset: name, terms: index }, async () => {
      const dataset = await this.#engine.store.read((tables) => findDataset(tables, name));
      return planDatasetIndex(this.#engine, this.#databases, dataset, index, indexesBeside(dataset.definition, index));
    });
  }

  /** Looks at every row, and refuses to go on where a column and its plaintext are out of step. */
  async #lookForSteps(name: string, column: string, options: JobOptions): Promise<JobResult> {
    const looked = await this.#start(name, "protect", options, wholeLook);
    if (looked.state === "done" && options.dryRun !== true) assertInStep(looked, column);
    return looked;
  }

  /** What the table says about the columns of a dataset's template and of the one that it is to move to. */
  async #declaredTypes({ definition }: Dataset, move: ContextMove | undefined): Promise<SourceDescription["types"]> {
    const layout = layoutOf({ ...definition, nextContext: move?.context ?? definition.nextContext });
    const source = await this.#databases.open(definition.database, layout);
    return (await source.describe().finally(() => source.close())).types;
  }

  async #run(name: string, kind: JobKind, options: JobOptions = {}): Promise<JobResult> {
    assertArguments({ name, options }, rules.run);
    return this.#start(name, kind, options);
  }

  #start(
    name: string,
    kind: JobKind,
    options: RunOptions,
    rule: JoinRule = {},
    adapt?: (dataset: Dataset) => Promise<Dataset>,
  ): Promise<JobResult> {
    return auditedOnDataset(
      this.#engine,
      { action: `datasets.${kind}`, dataset: name, terms: options },
      () => this.#jobs.run(name, kind, options, rule, adapt),
      ({ state, progress }) => ({
        detail: {
          state,
          rows: progress.replaced,
          values: progress.values,
          problems: progress.problems,
          dryRun: options.dryRun === true,
          ...(options.from !== undefined && { from: options.from }),
        },
      }),
    );
  }
}

function contextMove(template: unknown, contextTypes: ContextTypes | undefined): ContextMove | undefined {
  if (template !== undefined) return parseContextMove(template, contextTypes ?? {});
  if (contextTypes === undefined) return undefined;
  throw new KeysteadError("INVALID_ARGUMENT", "contextTypes belong to a new template; give that, too");
}
