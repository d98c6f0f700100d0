import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** Randomness of node:crypto that does not go through a RandomSource. */
const systemRandomness = ["randomBytes", "randomFill", "randomFillSync", "randomInt", "randomUUID", "getRandomValues", "webcrypto"];

const noDefaultExport = {
  selector: "ExportDefaultDeclaration, ExportSpecifier[exported.name='default']",
  message: "export by name",
};
const noPrivateKeyword = {
  selector: "[accessibility='private']:not([kind='constructor'])",
  message: "use #private",
};
const noBareDate = {
  selector: "NewExpression[callee.name='Date'][arguments.length=0]",
  message: "take the time from a Clock",
};

export default defineConfig(
  globalIgnores(["dist/", "coverage/", "bench/results/"]),
  {
    linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "max-lines": ["error", 500],
      "no-console": "error",
      "no-else-return": "error",
      "no-restricted-syntax": ["error", noDefaultExport, noPrivateKeyword],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/ban-ts-comment": ["error", { "ts-expect-error": true, "ts-ignore": true, "ts-nocheck": true, "ts-check": true }],
      // Types that refer to themselves through another one can't be written as a Record.
      "@typescript-eslint/consistent-indexed-object-style": "off",
      "@typescript-eslint/consistent-type-exports": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-member-accessibility": ["error", { accessibility: "no-public" }],
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unsafe-type-assertion": "error",
      // It takes an optional parameter of a function that gets its type from where it stands for one that is always there.
      "@typescript-eslint/no-useless-default-assignment": "off",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { ignoreRestSiblings: true, argsIgnorePattern: "^_", destructuredArrayIgnorePattern: "^_", varsIgnorePattern: "^_$" },
      ],
      // An async function without await rejects where a plain one would throw: implementations of asynchronous interfaces need that.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: { "no-restricted-syntax": ["error", noDefaultExport, noPrivateKeyword, noBareDate] },
  },
  {
    files: ["src/**/*.ts"],
    ignores: ["src/clock.ts", "src/crypto/random.ts"],
    rules: {
      "no-restricted-globals": ["error", { name: "crypto", message: "take randomness from a RandomSource, the rest from node:crypto" }],
      "no-restricted-imports": [
        "error",
        {
          paths: ["node:crypto", "crypto"].map((name) => ({
            name,
            importNames: systemRandomness,
            message: "take randomness from a RandomSource",
          })),
        },
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: "take the time from a Clock" },
        { object: "performance", property: "now", message: "take the time from a Clock" },
        { object: "process", property: "hrtime", message: "take the time from a Clock" },
        { object: "Math", property: "random", message: "take randomness from a RandomSource" },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "@typescript-eslint/ban-ts-comment": ["error", { "ts-expect-error": "allow-with-description" }],
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/no-unsafe-type-assertion": "off",
    },
  },
  {
    // Tools load these by their default export.
    files: ["eslint.config.js", "*.config.ts", "scripts/outcome-reporter.ts"],
    rules: { "no-restricted-syntax": ["error", noPrivateKeyword] },
  },
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: { globals: { performance: "readonly", URL: "readonly" } },
    rules: { "no-undef": "error", "no-unused-vars": "error", "no-unreachable": "error" },
  },
);
