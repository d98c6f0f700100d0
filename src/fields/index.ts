export type { IndexSpec } from "../crypto/blind-index.ts";
export {
  BlindIndex,
  createIndexRecipe,
  createIndexSpec,
  findIndexDrift,
  type IndexDefinition,
  type IndexDrift,
  type IndexPlacement,
  type IndexRecipe,
  unicodeVersion,
} from "./blind-index.ts";
export { canonicalText, canonicalTypes, type CanonicalType, type CanonicalValue } from "./canonical-text.ts";
export {
  columnPair,
  type CompiledContextTemplate,
  compileContextTemplate,
  type ContextColumns,
  contextOfColumn,
  type ContextTemplate,
  renderContext,
} from "./context-template.ts";
export type { FieldKey, Indexer, IndexKey } from "./field-key.ts";
export {
  type CompoundIndexDefinition,
  defineFields,
  type FieldDefinition,
  type FieldDefinitions,
  type FieldIndexDefinition,
  type FieldSpecification,
  type PlainRecord,
  type RecordDefinition,
  type RecordIndex,
  type RegisteredIndexDefinition,
  type SealedRecord,
  type ShadowDefinition,
} from "./field-specification.ts";
export { fieldTypes, type FieldTypeName, type JsonFieldValue, type ValueOfType } from "./field-types.ts";
export { findIndexKind, type IndexKind, indexKinds } from "./index-kinds.ts";
export { formatIndexPlan } from "./index-plan-text.ts";
export { type ExistingIndex, type IndexChoice, type IndexPlan, type IndexWarning, planIndex } from "./index-planner.ts";
export { findNormaliser, type Normaliser, normalisers } from "./normalisers.ts";
export { metaphone, soundex } from "./phonetic.ts";
export { RecordCipher, type RecordSearch } from "./record-cipher.ts";
export { cellValue, type StoredCell } from "./stored-cell.ts";
export { countValues, type Frequency, type FrequencyTable, ValueFrequencies } from "./value-frequencies.ts";
