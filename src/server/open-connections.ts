import type { Server } from "node:http";
import type { Socket } from "node:net";

/** The connections of a server, for its end: Node's own lists leave out those that never sent a whole head. */
export class OpenConnections {
  /** By both ends: a TLS socket takes the place of the connection that it is made of. */
  readonly #sockets = new Map<string, Socket>();

  /** @param server - one that does not listen yet */
  constructor(server: Server) {
    const add = (socket: Socket): void => {
      const ends = [socket.localAddress, socket.remoteAddress, socket.remotePort].join(" ");
      this.#sockets.set(ends, socket);
      socket.once("close", () => {
        if (this.#sockets.get(ends) === socket) this.#sockets.delete(ends);
      });
    };
    server.on("connection", add).on("secureConnection", add);
  }

  /** Connections on which a request is under way: its head has come, its answer has not gone. */
  get busy(): number {
    return [...this.#sockets.values()].filter(isBusy).length;
  }

  /** Closes all others. */
  closeUnused(): void {
    for (const socket of this.#sockets.values()) if (!isBusy(socket)) socket.destroy();
  }
}

/** Node notes the answer on its connection, from the head of the request on. */
function isBusy(socket: Socket): boolean {
  return (Reflect.get(socket, "_httpMessage") ?? null) !== null;
}
