export { testCodec } from "./codec.ts";
export { testDatasetSource } from "./dataset-source.ts";
export { testKekProvider } from "./kek-provider.ts";
export { testStore } from "./store.ts";
