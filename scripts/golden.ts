import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { auditFile, createAudit } from "./golden/audit-file.ts";
import { ciphertextFile } from "./golden/ciphertext-file.ts";
import { contextTextFile } from "./golden/context-text-file.ts";
import { createGoldenStore } from "./golden/golden-store.ts";
import { indexFiles } from "./golden/index-file.ts";
import { keysFile } from "./golden/keys-file.ts";
import { createKeyset } from "./golden/keyset.ts";
import { metadataFile, storeFile } from "./golden/store-files.ts";
import { streamsFiles } from "./golden/streams-files.ts";
import { root } from "./tools.ts";

// node scripts/golden.ts [FOLDER]: made the golden files of format 1, with fixed keys and fixed randomness. They stay as they
// are for ever, so a folder that exists is refused. A later format gets a folder of its own.

async function createFiles(): Promise<Map<string, string | Buffer>> {
  const keyset = await createKeyset();
  const audit = createAudit(keyset);
  const database = await createGoldenStore(keyset, audit);
  const files = new Map<string, string | Buffer>([
    ["keys.json", await keysFile(keyset)],
    ["ciphertext.json", ciphertextFile(keyset)],
    ["context-text.json", contextTextFile()],
    ["audit.json", auditFile(keyset, audit)],
    ["metadata.json", await metadataFile(database)],
    ["store.sql", await storeFile(database)],
    ...indexFiles(keyset),
    ...(await streamsFiles(keyset)),
  ]);
  await database.close();
  return files;
}

const folder = process.argv[2] ?? join(root, "test", "golden", "v1");
if (existsSync(folder)) {
  process.stderr.write(`${folder} exists: golden files are never made again; name a new folder to compare\n`);
  process.exitCode = 1;
} else {
  const files = await createFiles();
  for (const [name, content] of files) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { flag: "wx" });
  }
  process.stdout.write(`${files.size} files in ${folder}\n`);
}
