import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

const firstMessage = 0;
const messageHead = 1;
const readyForQuery = "Z".charCodeAt(0);
const terminate = "X".charCodeAt(0);
const idle = "I".charCodeAt(0);

/** A session of the server, and the client whose transaction it runs. */
interface Session {
  readonly socket: Socket;
  client: Socket | undefined;
  transactions: number;
}

/** Which of the resting sessions the next transaction gets: the one that rested longest, or last, as pgbouncer gives it. */
export type PoolerOrder = "longest rest" | "shortest rest";

/** Stands before a PostgreSQL server, as pgbouncer does with `pool_mode = transaction`: each transaction gets another session. */
export class TransactionPooler {
  readonly #server: Server;
  readonly #target: number;
  readonly #size: number;
  readonly #order: PoolerOrder;
  readonly #sessions: Session[] = [];
  readonly #resting: Session[] = [];
  readonly #waiting: ((session: Session) => void)[] = [];
  readonly #clients = new Set<Socket>();

  private constructor(target: number, size: number, order: PoolerOrder) {
    this.#target = target;
    this.#size = size;
    this.#order = order;
    this.#server = createServer((client) => {
      this.#serve(client);
    });
  }

  /** @param target port of the server @param size sessions that it has there */
  static async start(target: number, size: number, order: PoolerOrder = "longest rest"): Promise<TransactionPooler> {
    const pooler = new TransactionPooler(target, size, order);
    await once(pooler.#server.listen(0, "127.0.0.1"), "listening");
    return pooler;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Transactions that each session ran. */
  get transactions(): number[] {
    return this.#sessions.map(({ transactions }) => transactions);
  }

  stop(): void {
    this.#server.close();
    for (const socket of [...this.#clients, ...this.#sessions.map((session) => session.socket)]) socket.destroy();
  }

  #serve(client: Socket): void {
    client.setNoDelay();
    this.#clients.add(client);
    let session: Session | undefined;
    let isStarted = false;
    let work = Promise.resolve();
    const send = async (message: Buffer): Promise<void> => {
      if (!isStarted) {
        isStarted = true;
        await this.#greet(client, message);
        return;
      }
      if (message[0] === terminate) {
        client.end();
        return;
      }
      if (session?.client !== client) session = await this.#take(client);
      session.socket.write(message);
    };
    onMessages(
      client,
      () => (isStarted ? messageHead : firstMessage),
      (message) => {
        work = work.then(() => send(message));
      },
    );
    client.on("error", () => undefined).on("close", () => this.#clients.delete(client));
  }

  /** Opens the sessions with the first client's startup message; what the server says to it, every client is told. */
  async #greet(client: Socket, startup: Buffer): Promise<void> {
    const greeting: Buffer[] = [];
    const session: Session = { socket: connect(this.#target, "127.0.0.1"), client: undefined, transactions: 0 };
    await new Promise<void>((resolve) => {
      let isReady = false;
      onMessages(
        session.socket,
        () => messageHead,
        (message) => {
          if (isReady) {
            this.#answer(session, message);
            return;
          }
          greeting.push(message);
          if (message[0] !== readyForQuery) return;
          isReady = true;
          resolve();
        },
      );
      session.socket.setNoDelay().on("error", () => undefined);
      session.socket.write(startup);
    });
    if (this.#sessions.length < this.#size) {
      this.#sessions.push(session);
      this.#rest(session);
    } else session.socket.end();
    client.write(Buffer.concat(greeting));
  }

  #answer(session: Session, message: Buffer): void {
    session.client?.write(message);
    if (message[0] !== readyForQuery || message.at(-1) !== idle) return;
    session.client = undefined;
    session.transactions += 1;
    this.#rest(session);
  }

  #rest(session: Session): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#resting.push(session);
    else next(session);
  }

  async #take(client: Socket): Promise<Session> {
    const resting = this.#order === "longest rest" ? this.#resting.shift() : this.#resting.pop();
    const session = resting ?? (await new Promise<Session>((resolve) => this.#waiting.push(resolve)));
    session.client = client;
    return session;
  }
}

/** Cuts what comes into messages: a type, which the first of a client does not have, their length, and so many bytes. */
function onMessages(socket: Socket, head: () => number, take: (message: Buffer) => void): void {
  let received = Buffer.alloc(0);
  let isFirst = true;
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (;;) {
      const before = isFirst ? head() : messageHead;
      if (received.length < before + 4) return;
      const size = before + received.readUInt32BE(before);
      if (received.length < size) return;
      isFirst = false;
      take(received.subarray(0, size));
      received = received.subarray(size);
    }
  });
}
