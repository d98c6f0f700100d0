export { allowAll, type AccessControl, type Resource, type Revealing } from "./access/access-control.ts";
export type { ConsideredPolicy, Explanation } from "./access/explain.ts";
export type { PolicyInput } from "./access/policy.ts";
export { embeddedPrincipal, type Principal } from "./access/principal.ts";
export { osUser, type OsUser } from "./access/os-user.ts";
export type { AuditEvent, AuditOutcome } from "./audit/event.ts";
export type { ExportSummary } from "./audit/export/write-export.ts";
export { verifyAuditExport, type ExportReport, type VerifyExportOptions } from "./audit/export/verify-export.ts";
export { readWitness, type Witness } from "./audit/witness.ts";
export type { AuditRecordView } from "./audit/newest-records.ts";
export type { AuditCount, AuditCounts } from "./audit/report.ts";
export { reportAuditFiles, type FilesReport, type ReportRange } from "./audit/report-files.ts";
export type { AuditSinkConfig } from "./audit/sinks/audit-sink.ts";
export type { AuditProblem } from "./audit/audit-problem.ts";
export { verifyAuditFiles, type FilesVerification } from "./audit/export/verify-files.ts";
export type { AuditFinding, AuditReport } from "./audit/verify.ts";
export { type Clock, systemClock } from "./clock.ts";
export type { AlgorithmName } from "./crypto/algorithms.ts";
export type { KeyUsage } from "./crypto/algorithm.ts";
export type { Context } from "./crypto/context.ts";
export { type RandomSource, systemRandom } from "./crypto/random.ts";
export type { FieldValue } from "./crypto/typed-value.ts";
export type { Census, IndexCensus } from "./datasets/census.ts";
export type { ColumnCensus, VersionCount } from "./datasets/column-census.ts";
export type { ContextTypes } from "./datasets/context-types.ts";
export type { AddedDataset, DatasetInfo } from "./datasets/dataset-info.ts";
export type { DatasetService, KeyCensusEntry } from "./datasets/dataset-service.ts";
export { assertCodecConfig } from "./datasets/codecs.ts";
export type { CodecConfig } from "./datasets/codecs/codec-types.ts";
export type { DatasetIndexInput, DatasetInput, IndexGenerationInput } from "./datasets/definition.ts";
export type { FindOptions, FindResult, FoundRow } from "./datasets/find-rows.ts";
export { estimateRest, type JobProgress, type RowProblem } from "./datasets/job-progress.ts";
export type { GenerationState, IndexGenerationInfo } from "./datasets/index-generations.ts";
export type { JobWorkerInfo } from "./datasets/job-lease.ts";
export type { JobInfo, ResumeOptions } from "./datasets/job-service.ts";
export type { JobState } from "./datasets/job-state.ts";
export type { JobOptions, JobPaceOptions, RecontextOptions, ReencryptOptions } from "./datasets/job-options.ts";
export type { JobResult } from "./datasets/job-run.ts";
export type { PlaintextJobResult } from "./datasets/remains.ts";
export type { PlannedIndex } from "./datasets/plan-index.ts";
export { type ErrorCode, errorCodes, isKeysteadError, KeysteadError } from "./errors.ts";
export { createIndexRecipe, type IndexRecipe } from "./fields/blind-index.ts";
export type { CanonicalType } from "./fields/canonical-text.ts";
export { type IndexPlan, planIndex } from "./fields/index-planner.ts";
export { formatIndexPlan } from "./fields/index-plan-text.ts";
export { createMasterKeyFile } from "./kek/local/master-key-file.ts";
export type { MasterKeyConfig } from "./kek/local/master-key-source.ts";
export { readPassphraseFile } from "./kek/local/passphrase-file.ts";
export type { ApprovalFilter, ApprovalInfo, ApprovalService, ApprovalState, DecisionOptions } from "./keys/access/approval-service.ts";
export type { ExplainOptions, PolicyInfo, PolicyService, RoleInfo } from "./keys/access/policy-service.ts";
export type { PrincipalInfo, PrincipalService, PrincipalSettings } from "./keys/access/principal-service.ts";
export type { CallerInfo } from "./keys/access/whoami.ts";
export type { CreatedToken, CreateTokenInput, TokenInfo, TokenService } from "./keys/access/token-service.ts";
export type { AuditArchiveOptions, AuditArchiveReport } from "./keys/audit-archive.ts";
export type { AuditFilter } from "./keys/audit-filter.ts";
export type { AuditPageFilter, AuditRecordPage } from "./keys/audit-page.ts";
export type { AuditExportOptions, AuditService, StoreAuditReport } from "./keys/audit-service.ts";
export type { AuditSignerInfo } from "./keys/audit-signer.ts";
export {
  type CertificateFinding,
  type CertificateReport,
  type DestructionCertificate,
  type DestructionStatement,
  verifyCertificate,
  type VerifyCertificateOptions,
} from "./keys/certificate.ts";
export type { CipherOptions, DecryptItem, EncryptItem, OpenedItem, RewrapItem, RewrapOptions, SealOptions } from "./keys/cipher-service.ts";
export { isProblem, type ItemProblem } from "./keys/data-acts.ts";
export type { DataKey, DataKeyItem, DataKeyOptions, DataKeyService, SealedDataKeyItem } from "./keys/data-key-service.ts";
export { type HashItem, type HashName, hashNames, type RandomItem } from "./keys/keyless-service.ts";
export type { KeyTarget } from "./keys/key-target.ts";
export type { LeaseInfo, LeaseState } from "./keys/lease-records.ts";
export type {
  LeaseCheck,
  LeasedKey,
  LeasedPrefix,
  LeaseFilter,
  LeaseService,
  LeaseUse,
  SealLease,
  SealLeaseOptions,
} from "./keys/lease-service.ts";
export type { MacItem, VerifyMacItem } from "./keys/mac-service.ts";
export type { AccessScope, Caller, RequestOrigin } from "./access/caller.ts";
export type { KeysteadCall, KeysteadView } from "./keystead/keystead-view.ts";
export type { CreateKeyInput } from "./keys/create-key.ts";
export type { DestructionEvidence } from "./keys/destroy-gate.ts";
export type { DestroyOptions, DestructionStatus } from "./keys/destroy-version.ts";
export type { KekInfo, KekService, RewrapProgress } from "./keys/kek-service.ts";
export type { KeyHandle } from "./keys/key-handle.ts";
export type { KeyInfo, VersionInfo } from "./keys/key-records.ts";
export type { KeyService } from "./keys/key-service.ts";
export type { VersionUsage } from "./keys/ledger.ts";
export type { PurposeInfo, PurposeService, PurposeSettings } from "./keys/purpose-service.ts";
export type { Revealed, RevealItem, RevealOptions, RevealReason } from "./keys/reveal-service.ts";
export type { RotateKeyOptions } from "./keys/rotate-key.ts";
export type { RouteInfo, RouteSelector, RouteService } from "./keys/route-service.ts";
export type { SettingsService } from "./keys/settings-service.ts";
export type { SettingName, Settings } from "./keys/settings.ts";
export { type VersionPhase, type VersionState } from "./keys/version-state.ts";
export { initKeystead, type InitOptions, Keystead, type KeysteadOptions, openKeystead } from "./keystead.ts";
export { copyKeystead, type CopyOptions, type StoreCopyReport } from "./keystead/copy-keystead.ts";
export type { Diagnosis } from "./keystead/diagnosis.ts";
export type { Doctor } from "./keystead/doctor.ts";
export type {
  ActOutcome,
  BegunRequest,
  EndedRequest,
  ItemOutcomes,
  JobRows,
  KekOperation,
  MetricsCollector,
  MetricsSource,
  Observer,
  RequestObserver,
} from "./observer.ts";
export type { StoreIdentity } from "./store/store.ts";
