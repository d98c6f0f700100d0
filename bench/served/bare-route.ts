import { createCipheriv, randomFillSync, createSecretKey, randomBytes } from "node:crypto";
import fastify from "fastify";

// The least that a server in Node can do: Fastify parses, one call of AES-256-GCM under a key that is there, Fastify answers. Nobody is asked
// who it is, nothing is checked, nothing is recorded. Prints its port.

interface Body {
  readonly key: string;
  readonly plaintext: string;
  readonly context: Readonly<Record<string, string>>;
}

const nonceBytes = 12;
const key = createSecretKey(randomBytes(32));
const pool = Buffer.alloc(nonceBytes * 1024);
let at = pool.length;

function nextNonce(): Buffer {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += nonceBytes;
  return pool.subarray(at - nonceBytes, at);
}

const server = fastify();
server.post<{ Body: Body }>("/v1/encrypt", async ({ body }) => {
  const nonce = nextNonce();
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(JSON.stringify(body.context)));
  const sealed = cipher.update(Buffer.from(body.plaintext, "base64"));
  cipher.final();
  const payload = Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString("base64url");
  return { ciphertext: `ks1:${body.key}:1-abcdef:${payload}`, key: body.key, version: 1, label: "1-abcdef" };
});
await server.listen({ host: "127.0.0.1", port: 0 });
const address = server.server.address();
process.stdout.write(`${typeof address === "object" ? (address?.port ?? "") : ""}\n`);
