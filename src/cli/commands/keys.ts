import { Argument, type Command, Option } from "commander";
import type { KeysteadApi } from "../../api/keystead-api.ts";
import { KeysteadError } from "../../errors.ts";
import type { KeyInfo, KeyUsage, RotateKeyOptions, VersionInfo, VersionUsage } from "../../index.ts";
import { algorithmNames } from "../algorithm-names.ts";
import { formatInstant, parseInstant } from "../instants.ts";
import { examples, oneOf, parsePairs, type ReasonOptions, reasonOption, repeatable, wholeNumber } from "../options.ts";
import { withKeystead } from "../session.ts";
import { formatFacts, formatTable, type TableColumn } from "../table.ts";
import { notesOn, rotationNotes } from "../usage-notes.ts";
import { addDestructionCommands } from "./destruction.ts";

interface CreateFlags {
  readonly purpose: string;
  readonly usage?: KeyUsage;
  readonly algorithm?: string;
  readonly tag: readonly string[];
  readonly rotationDays?: number;
  readonly expires?: string;
  readonly activate?: string;
}

const rotationsAtOnce = 16;

interface RotateFlags extends ReasonOptions {
  readonly all?: boolean;
  readonly expires?: string;
  readonly activate?: string;
}

interface SetFlags {
  readonly tag: readonly string[];
  readonly removeTag: readonly string[];
  readonly rotationDays?: number | false;
}

const usages = ["encrypt", "blind-index", "mac", "sign"] as const satisfies readonly KeyUsage[];

type StateChange = "activate" | "suspend" | "resume" | "deactivate";

const stateChanges: Readonly<Record<StateChange, string>> = {
  activate: "Make a pre-active version active, and current when it is the newest.",
  suspend: "Stop a version from sealing and opening, in every process within a second, until `resume`.",
  resume: "End a suspension.",
  deactivate: "Stop a version from sealing for good; it still opens.",
};

/** Adds `keys`. */
export function addKeyCommands(program: Command): void {
  const keys = program
    .command("keys")
    .description("Create, rotate and retire keys.")
    .addHelpText(
      "after",
      examples(
        "keystead keys create pii-email --purpose pii",
        "keystead keys list --purpose pii",
        "keystead keys rotate pii-email",
        'keystead keys destroy pii-email 1 --reason "retired"',
      ),
    );
  addCreate(keys);
  addLooking(keys);
  addRotate(keys);
  for (const [name, description] of Object.entries(stateChanges)) addStateChange(keys, isStateChange(name) ? name : "suspend", description);
  addDestructionCommands(keys);
  addAlias(keys);
  addSet(keys);
}

/** The argument that names a key. */
export function keyArgument(): Argument {
  return new Argument("<key>", "name or alias of a key");
}

/** The argument that names a version of a key. */
export function versionArgument(): Argument {
  return new Argument("<version>", "number (3) or label (3-k7f2qd) of a version");
}

/**
 * The number of a version that was named by number or label; a label's fingerprint must be right.
 * @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_KEY_VERSION`
 */
export async function findVersionNumber(keys: KeysteadApi["keys"], key: string, text: string): Promise<number> {
  const [, digits, fingerprint] = /^(\d{1,9})(-[a-z2-7]{6})?$/.exec(text) ?? [];
  if (digits === undefined) throw new KeysteadError("INVALID_ARGUMENT", "a version is a number like 3 or a label like 3-k7f2qd");
  if (fingerprint !== undefined && !(await keys.show(key)).versions.some(({ label }) => label === text)) {
    throw new KeysteadError("UNKNOWN_KEY_VERSION", `key ${key} has no version ${text}; see \`keystead keys show ${key}\``);
  }
  return Number(digits);
}

/** No keys of a purpose that nobody registered: a slip, which an empty list would hide. @throws KeysteadError `UNKNOWN_PURPOSE` */
async function assertPurpose(purposes: KeysteadApi["purposes"], name: string): Promise<void> {
  const known = (await purposes.list()).map((purpose) => purpose.name);
  if (known.includes(name)) return;
  throw new KeysteadError("UNKNOWN_PURPOSE", `no purpose has this name; registered are ${known.join(", ")}`);
}

/** One line about a key after a change. */
function describeKey(key: KeyInfo): string {
  const current = key.versions.find((version) => version.current);
  const newest = key.versions.at(-1);
  return `${[
    key.name,
    key.purpose,
    key.algorithm,
    current === undefined ? "no current version" : `current version ${current.label}`,
    ...(newest?.state === "pre-active" ? [`version ${newest.label} is pre-active until ${formatInstant(newest.activateAt)}`] : []),
  ].join("  ")}\n`;
}

function addCreate(keys: Command): void {
  keys
    .command("create")
    .description("Create a key with version 1.")
    .argument("<name>", "name: 1 to 4 segments joined by /; never reused")
    .requiredOption("--purpose <purpose>", "what data it protects (`keystead purposes list`)")
    .addOption(oneOf(new Option("--usage <usage>", "what it is for"), usages).default("encrypt"))
    .addOption(oneOf(new Option("--algorithm <name>", "how (default: by usage)"), algorithmNames))
    .addOption(repeatable("--tag <name=value>", "tag"))
    .option("--rotation-days <days>", "days between rotations (default: the purpose's)", wholeNumber(1))
    .option("--expires <date>", "version 1 seals nothing after this date (2027-01-31, 90d)")
    .option("--activate <date>", "version 1 is pre-active until this date")
    .addHelpText(
      "after",
      examples(
        "keystead keys create pii-email --purpose pii",
        "keystead keys create acme/pii-index --purpose pii --usage blind-index",
        "keystead keys create payroll --purpose financial --rotation-days 90 --tag owner=hr",
      ),
    )
    .action((name: string, flags: CreateFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        const now = clock.now();
        const key = await keystead.keys.create({
          name,
          purpose: flags.purpose,
          tags: parsePairs(flags.tag, "tag"),
          ...(flags.usage !== undefined && { usage: flags.usage }),
          ...(flags.algorithm !== undefined && { algorithm: flags.algorithm }),
          ...(flags.rotationDays !== undefined && { rotationDays: flags.rotationDays }),
          ...(flags.expires !== undefined && { expiresAt: parseInstant(flags.expires, now) }),
          ...(flags.activate !== undefined && { activateAt: parseInstant(flags.activate, now) }),
        });
        await output.result(key, () => describeKey(key));
      }),
    );
}

function addLooking(keys: Command): void {
  keys
    .command("list")
    .description("List keys.")
    .option("--purpose <purpose>", "only those of a purpose")
    .addHelpText("after", examples("keystead keys list", "keystead keys list --purpose pii --json"))
    .action(({ purpose }: { readonly purpose?: string }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.keys.list(purpose === undefined ? {} : { purpose });
        if (purpose !== undefined && found.length === 0) await assertPurpose(keystead.purposes, purpose);
        await output.result(found, () => formatTable(found, keyColumns));
      }),
    );
  keys
    .command("show")
    .description("Show a key, its versions and their use.")
    .addArgument(keyArgument())
    .addHelpText("after", examples("keystead keys show pii-email"))
    .action((name: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const key = await keystead.keys.show(name);
        const versions = await Promise.all(
          key.versions.map(async (version) => ({ ...version, usage: await keystead.keys.usage(name, version.version) })),
        );
        await output.result({ ...key, versions }, () => `${formatFacts(keyFacts(key))}\n${formatTable(versions, versionColumns)}`);
      }),
    );
}

function addRotate(keys: Command): void {
  keys
    .command("rotate")
    .description("Make the next version of a key and make it current. Earlier versions still open what they sealed.")
    .addArgument(new Argument("[key]", "name or alias of a key"))
    .option("--all", "every key that encrypts")
    .option("--expires <date>", "the new version seals nothing after this date (2027-01-31, 90d)")
    .option("--activate <date>", "the old version stays current until this date")
    .addOption(reasonOption())
    .addHelpText(
      "after",
      examples(
        "keystead keys rotate pii-email",
        'keystead keys rotate pii-email --reason "yearly rotation" --expires 2028-01-31',
        'keystead keys rotate --all --reason "the store was copied"',
      ),
    )
    .action((name: string | undefined, { all = false, expires, activate, ...reason }: RotateFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output, clock }) => {
        if ((name === undefined) !== all) throw new KeysteadError("INVALID_ARGUMENT", "name a key, or all of them by --all");
        const now = clock.now();
        const options = {
          ...reason,
          ...(expires !== undefined && { expiresAt: parseInstant(expires, now) }),
          ...(activate !== undefined && { activateAt: parseInstant(activate, now) }),
        };
        if (name === undefined) {
          const rotated = await rotateAll(keystead.keys, options);
          await output.result(rotated, () => rotated.map((key) => describeKey(key)).join(""));
          return;
        }
        const key = await keystead.keys.rotate(name, options);
        await output.result(key, () => describeKey(key));
        for (const note of notesOn(key.usages, rotationNotes)) output.note(note);
      }),
    );
}

/** Rotates every key that encrypts, several at once: most of a rotation is waiting until all processes know the version. */
async function rotateAll(keys: KeysteadApi["keys"], options: RotateKeyOptions): Promise<KeyInfo[]> {
  const names = (await keys.list()).filter(({ usages }) => usages.includes("encrypt")).map(({ name }) => name);
  const rotated: KeyInfo[] = [];
  for (let at = 0; at < names.length; at += rotationsAtOnce)
    rotated.push(...(await Promise.all(names.slice(at, at + rotationsAtOnce).map((name) => keys.rotate(name, options)))));
  return rotated;
}

function isStateChange(name: string): name is StateChange {
  return Object.hasOwn(stateChanges, name);
}

function addStateChange(keys: Command, name: StateChange, description: string): void {
  keys
    .command(name)
    .description(description)
    .addArgument(keyArgument())
    .addArgument(versionArgument())
    .addOption(reasonOption())
    .addHelpText("after", examples(`keystead keys ${name} pii-email 2 --reason "ticket 4711"`))
    .action((key: string, version: string, reason: ReasonOptions, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const changed = await keystead.keys[name](key, await findVersionNumber(keystead.keys, key, version), reason);
        await output.result(changed, () => formatTable(changed.versions, stateColumns));
      }),
    );
}

function addAlias(keys: Command): void {
  keys
    .command("alias")
    .description("Point an alias to a key, or remove it. Aliases may move; names can't.")
    .argument("<alias>", "1 to 255 characters; no key's name")
    .argument("[key]", "name or alias of the key that it points to")
    .option("--remove", "remove the alias; the key stays")
    .addHelpText("after", examples("keystead keys alias mail pii-email", "keystead keys alias mail --remove"))
    .action((alias: string, key: string | undefined, { remove }: { readonly remove?: boolean }, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        if ((key === undefined) !== (remove === true)) {
          throw new KeysteadError("INVALID_ARGUMENT", "name the key that the alias points to, or give --remove");
        }
        if (key === undefined) {
          await keystead.keys.removeAlias(alias);
          await output.result({ alias, key: null }, () => `removed alias ${alias}\n`);
          return;
        }
        const named = await keystead.keys.setAlias(alias, key);
        await output.result({ alias, key: named.name }, () => `${alias} is ${named.name}\n`);
      }),
    );
}

function addSet(keys: Command): void {
  keys
    .command("set")
    .description("Change the tags and the rotation policy of a key; what is not named stays.")
    .addArgument(keyArgument())
    .addOption(repeatable("--tag <name=value>", "tag to set"))
    .addOption(repeatable("--remove-tag <name>", "tag to remove"))
    .option("--rotation-days <days>", "days between rotations", wholeNumber(1))
    .option("--no-rotation-days", "no rotation policy")
    .addHelpText(
      "after",
      examples("keystead keys set pii-email --rotation-days 365 --tag owner=crm", "keystead keys set pii-email --no-rotation-days"),
    )
    .action((name: string, { tag, removeTag, rotationDays }: SetFlags, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const { tags } = await keystead.keys.show(name);
        const kept = Object.entries({ ...tags, ...parsePairs(tag, "tag") }).filter(([tagName]) => !removeTag.includes(tagName));
        const key = await keystead.keys.set(name, {
          ...(tag.length + removeTag.length > 0 && { tags: Object.fromEntries(kept) }),
          ...(rotationDays !== undefined && { rotationDays: rotationDays === false ? null : rotationDays }),
        });
        await output.result(key, () => formatFacts(keyFacts(key)));
      }),
    );
}

function keyFacts(key: KeyInfo): Record<string, string | number | undefined> {
  return {
    name: key.name,
    id: key.id,
    purpose: key.purpose,
    usage: key.usages.join(", "),
    algorithm: key.algorithm,
    tags: Object.entries(key.tags)
      .map(([name, value]) => `${name}=${value}`)
      .join(", "),
    aliases: key.aliases.join(", "),
    rotation: key.rotationDays === undefined ? undefined : `every ${key.rotationDays} days, due ${formatInstant(key.rotationDue)}`,
    created: formatInstant(key.createdAt),
  };
}

const keyColumns: readonly TableColumn<KeyInfo>[] = [
  { title: "name", cell: ({ name }) => name },
  { title: "purpose", cell: ({ purpose }) => purpose },
  { title: "usage", cell: (key) => key.usages.join(",") },
  { title: "algorithm", cell: ({ algorithm }) => algorithm },
  { title: "current", cell: ({ versions }) => versions.find((version) => version.current)?.label ?? "none" },
  { title: "state", cell: ({ versions }) => versions.find((version) => version.current)?.state },
  { title: "versions", cell: ({ versions }) => versions.length },
  { title: "rotation due", cell: ({ rotationDue }) => formatInstant(rotationDue) },
  { title: "aliases", cell: ({ aliases }) => aliases.join(",") },
];

const stateColumns: readonly TableColumn<VersionInfo>[] = [
  { title: "version", cell: ({ label }) => label },
  { title: "state", cell: ({ state, current }) => (current ? `${state}, current` : state) },
  { title: "since", cell: ({ stateSince }) => formatInstant(stateSince) },
  { title: "reason", cell: ({ stateReason }) => stateReason },
];

const versionColumns: readonly TableColumn<VersionInfo & { readonly usage: VersionUsage }>[] = [
  ...stateColumns,
  { title: "active from", cell: ({ state, activateAt }) => (state === "pre-active" ? formatInstant(activateAt) : undefined) },
  { title: "expires", cell: ({ expiresAt }) => formatInstant(expiresAt) },
  { title: "destroyed from", cell: ({ destroyAt }) => formatInstant(destroyAt) },
  { title: "seals", cell: ({ usage }) => usage.sealsInDatasets + usage.sealsOutsideDatasets },
  { title: "outside datasets", cell: ({ usage }) => usage.sealsOutsideDatasets },
  { title: "opens", cell: ({ usage }) => usage.opens },
  { title: "refused", cell: ({ usage }) => usage.refusals },
];
