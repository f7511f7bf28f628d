// node client.js http://localhost:3000 session-1 bo
// Signs in with a session and writes to somebody: a line is a message.
import { createInterface } from "node:readline";
import { connect } from "@usercast/client";

const [url, token, friend] = process.argv.slice(2);
const me = connect(url, { token });

me.on("message", (text, { from }) => console.log(`${from}: ${text}`));
me.lifecycle.on("ready", ({ userId }) => console.log(`(you are ${userId})`));
me.lifecycle.on("receipt", ({ to, state }) => console.log(`(${state} to ${to})`));
me.lifecycle.on("closing", ({ message }) => console.log(`(${message})`));

for await (const line of createInterface({ input: process.stdin })) {
  // Kept and tried again while there is no connection; `pushed` if the friend is there, otherwise `queued`.
  me.to(friend)
    .send(line)
    .then(({ state }) => console.log(`(${state})`))
    .catch((error) => console.log(`(${error.code}: ${error.message})`));
}
me.close();
