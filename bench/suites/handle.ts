import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from "node:crypto";
import { compare } from "../harness.ts";
import { installPeers, loadConstants, loadPeer } from "../peers.ts";
import { withKeystead } from "../engine.ts";

const count = 2000;
const context = { table: "person", column: "email", row: "4711" };

/** Encrypting and decrypting 128 bytes of text with three context pairs: `KeyHandle` against a bare cipher call and others. */
export async function handle(): Promise<void> {
  installPeers();
  const text = "k".repeat(128);
  const plaintext = Buffer.from(text);
  const cipherKey = createSecretKey(randomBytes(32));
  const iv = randomBytes(12);
  const first = createCipheriv("aes-256-gcm", cipherKey, iv);
  const sealedBare = Buffer.concat([first.update(plaintext), first.final()]);
  const tag = first.getAuthTag();

  const cloak = await loadPeer("@47ng/cloak");
  const cloakKey = cloak("parseKeySync")(cloak("generateKey")());
  const cloaked = cloak("encryptStringSync")(text, cloakKey);

  const aws = await awsEncryptionSdk();
  const awsSealed = await aws.encrypt(plaintext);

  await withKeystead({}, async (keystead) => {
    for (const algorithm of ["XAES-256-GCM", "AES-256-GCM-KC"])
      await keystead.keys.create({ name: algorithm.toLowerCase(), purpose: "pii", algorithm });
    const key = await keystead.open("xaes-256-gcm");
    const committing = await keystead.open("aes-256-gcm-kc");
    const sealed = key.encrypt(text, context);
    const committed = committing.encrypt(text, context);
    const times = (work: () => unknown) => () => {
      for (let index = 0; index < count; index += 1) work();
    };
    const bareEncrypt = (): void => {
      const cipher = createCipheriv("aes-256-gcm", cipherKey, iv);
      cipher.update(plaintext);
      cipher.final();
      cipher.getAuthTag();
    };
    const bareDecrypt = (): void => {
      const decipher = createDecipheriv("aes-256-gcm", cipherKey, iv);
      decipher.setAuthTag(tag);
      decipher.update(sealedBare);
      decipher.final();
    };
    await compare(
      "encrypt 128 B of text, three context pairs",
      [
        { name: "bare createCipheriv", units: count, run: times(bareEncrypt) },
        { name: "KeyHandle.encrypt, XAES-256-GCM", units: count, run: times(() => key.encrypt(text, context)) },
        { name: "KeyHandle.encrypt, AES-256-GCM-KC", units: count, run: times(() => committing.encrypt(text, context)) },
        { name: "@47ng/cloak", units: count, run: times(() => cloak("encryptStringSync")(text, cloakKey)) },
        { name: "AWS Encryption SDK", units: 200, run: () => aws.repeat(200, () => aws.encrypt(plaintext)) },
      ],
      {
        rounds: 60,
        goals: [
          { contender: "KeyHandle.encrypt, XAES-256-GCM", to: "bare createCipheriv", atMost: 2 },
          { contender: "KeyHandle.encrypt, XAES-256-GCM", to: "@47ng/cloak", atMost: 1 / 3 },
          { contender: "KeyHandle.encrypt, XAES-256-GCM", to: "AWS Encryption SDK", atMost: 1 / 25 },
        ],
      },
    );
    await compare(
      "decrypt the same",
      [
        { name: "bare createDecipheriv", units: count, run: times(bareDecrypt) },
        { name: "KeyHandle.decryptText, XAES-256-GCM", units: count, run: times(() => key.decryptText(sealed, context)) },
        { name: "KeyHandle.decryptText, AES-256-GCM-KC", units: count, run: times(() => committing.decryptText(committed, context)) },
        { name: "@47ng/cloak", units: count, run: times(() => cloak("decryptStringSync")(cloaked, cloakKey)) },
        { name: "AWS Encryption SDK", units: 200, run: () => aws.repeat(200, () => aws.decrypt(awsSealed)) },
      ],
      {
        rounds: 60,
        goals: [
          { contender: "KeyHandle.decryptText, XAES-256-GCM", to: "bare createDecipheriv", atMost: 2 },
          { contender: "KeyHandle.decryptText, XAES-256-GCM", to: "@47ng/cloak", atMost: 1 / 3 },
          { contender: "KeyHandle.decryptText, XAES-256-GCM", to: "AWS Encryption SDK", atMost: 1 / 25 },
        ],
      },
    );
  });
}

interface AwsSdk {
  encrypt(plaintext: Uint8Array): Promise<unknown>;
  decrypt(sealed: unknown): Promise<unknown>;
  repeat(times: number, work: () => Promise<unknown>): Promise<void>;
}

/** The best configuration there is: raw AES keyring, cached data keys, committing suite without signature. */
async function awsEncryptionSdk(): Promise<AwsSdk> {
  const sdk = await loadPeer("@aws-crypto/client-node");
  const constants = await loadConstants("@aws-crypto/client-node");
  const suites = constants("RawAesWrappingSuiteIdentifier");
  const policies = constants("CommitmentPolicy");
  const algorithms = constants("AlgorithmSuiteIdentifier");
  const member = (table: unknown, name: string): unknown =>
    typeof table === "object" && table !== null ? Reflect.get(table, name) : undefined;
  const construct = (name: string, ...args: unknown[]): unknown => Reflect.construct(sdk(name), args);
  const keyring = construct("RawAesKeyringNode", {
    keyName: "bench",
    keyNamespace: "keystead",
    unencryptedMasterKey: new Uint8Array(randomBytes(32)),
    wrappingSuite: member(suites, "AES256_GCM_IV12_TAG16_NO_PADDING"),
  });
  const materials = construct("NodeCachingMaterialsManager", {
    backingMaterials: keyring,
    cache: sdk("getLocalCryptographicMaterialsCache")(100),
    maxAge: 3_600_000,
    maxMessagesEncrypted: 1_000_000,
    partition: "bench",
  });
  const built = sdk("buildClient")(member(policies, "REQUIRE_ENCRYPT_REQUIRE_DECRYPT"));
  const call = (name: string, ...args: unknown[]): Promise<unknown> => {
    const method = member(built, name);
    return typeof method === "function" ? Promise.resolve(Reflect.apply(method, undefined, args)) : Promise.reject(new Error(`no ${name}`));
  };
  const suiteId = member(algorithms, "ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY");
  return {
    encrypt: async (plaintext) =>
      member(
        await call("encrypt", materials, plaintext, { encryptionContext: context, suiteId, plaintextLength: plaintext.length }),
        "result",
      ),
    decrypt: async (sealed) => member(await call("decrypt", materials, sealed), "plaintext"),
    repeat: async (times, work) => {
      for (let index = 0; index < times; index += 1) await work();
    },
  };
}
