import { assertArguments } from "../arguments.ts";
import type { ActTerms } from "../keys/access/act-terms.ts";
import type { Engine } from "../keys/engine.ts";
import type { Codecs } from "./codecs.ts";
import type { Databases } from "./databases.ts";
import { auditedAtOnce } from "./dataset-acts.ts";
import { datasetArguments as rules } from "./dataset-arguments.ts";
import { DatasetService } from "./dataset-service.ts";
import type { JobOptions, RecontextOptions } from "./job-options.ts";
import type { JobResult } from "./job-run.ts";
import type { PlaintextJobResult } from "./remains.ts";
import { workerEngine } from "./worker-engine.ts";

/** Datasets for a caller whose every call leaves exactly one record: what a call does in several steps, the engine does for it. */
export class ServedDatasets extends DatasetService {
  readonly #engine: Engine;
  readonly #worker: DatasetService;

  constructor(engine: Engine, databases: Databases, codecs: Codecs) {
    super(engine, databases, codecs);
    this.#engine = engine;
    this.#worker = new DatasetService(workerEngine(engine), databases, codecs);
  }

  override cutOver(name: string, index: string, generation: number, options: JobOptions = {}): Promise<JobResult> {
    return this.#once("datasets.cut-over", name, { index, generation, ...options }, () =>
      this.#worker.cutOver(name, index, generation, options),
    );
  }

  override cutOverColumn(name: string, column: string, options: JobOptions = {}): Promise<JobResult> {
    return this.#once("datasets.cut-over-column", name, { column, ...options }, () => this.#worker.cutOverColumn(name, column, options));
  }

  override eraseColumn(name: string, column: string, options: JobOptions = {}): Promise<PlaintextJobResult> {
    return this.#once("datasets.erase-column", name, { column, ...options }, () => this.#worker.eraseColumn(name, column, options));
  }

  override recontext(
    name: string,
    template: Readonly<Record<string, string>> | undefined,
    options: RecontextOptions = {},
  ): Promise<JobResult> {
    const action = template === undefined ? "datasets.recontext" : "datasets.set-context";
    return this.#once(action, name, { template, ...options }, () => this.#worker.recontext(name, template, options));
  }

  async #once<T extends JobResult>(action: string, name: string, terms: ActTerms, work: () => Promise<T>): Promise<T> {
    assertArguments({ name }, rules.name);
    return auditedAtOnce(this.#engine, { action, dataset: name, terms }, work, ({ id, state }) => ({ detail: { job: id, state } }));
  }
}
