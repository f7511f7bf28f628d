// node client.js http://localhost:3000 session-1 bo
// Signs in with a session and writes to somebody: a line is a message.
import { createInterface } from "node:readline";
import { connect } from "@usercast/client";

const [url, token, friend] = process.argv.slice(2);
const me = connect(url, { token });

me.on("message", (text, { from, offset, volatile }) => {
  console.log(`${from}: ${text}`);
  if (!volatile) me.markRead(offset); // it is on the screen
});
me.lifecycle.on("ready", ({ userId }) => console.log(`(you are ${userId})`));
me.lifecycle.on("closing", ({ message }) => console.log(`(${message})`));

for await (const line of createInterface({ input: process.stdin })) {
  // Kept and tried again while there is no connection.
  me.to(friend)
    .send(line)
    .then((sent) => {
      console.log(`(${sent.state})`);
      sent.on("change", (state) => console.log(`(${state}: ${line})`));
    })
    .catch((error) => console.log(`(${error.code}: ${error.message})`));
}
me.close();
