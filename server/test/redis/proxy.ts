import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A way to a server that loses answers. */
export interface LosingProxy {
  readonly url: string;
  /** Cuts the connection instead of passing on the answer to what next holds these bytes; resolves when it has. */
  loseAnswerTo(text: string): Promise<void>;
  stop(): Promise<void>;
}

/** Stands between a broker and the server at `port`. */
export async function startProxy(port: number): Promise<LosingProxy> {
  const sockets = new Set<Socket>();
  let lost: { readonly text: string; readonly done: () => void } | undefined;
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    let isCut = false;
    let done = (): void => {};
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on("data", (data) => {
      if (lost !== undefined && data.includes(lost.text)) {
        isCut = true;
        done = lost.done;
        lost = undefined;
      }
      far.write(data);
    });
    far.on("data", (data) => {
      if (!isCut) near.write(data);
      else {
        near.destroy();
        done();
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return {
    url: `redis://127.0.0.1:${address.port}`,
    loseAnswerTo: (text) =>
      new Promise((done) => {
        lost = { text, done };
      }),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
