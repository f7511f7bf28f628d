// Many clients in one process, on bare WebSockets so that they cost little: they register, answer pings and count.
import { WebSocket } from "ws";

const [port, count, register] = process.argv.slice(2);
let missing = 0;

function connect(id) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
    socket.on("error", reject);
    socket.on("message", (data) => {
      const text = data.toString();
      if (text.startsWith("42[")) {
        missing -= 1;
        if (missing === 0) process.send({ all: true });
      } else if (text === "2") socket.send("3");
      else if (text.startsWith("0")) socket.send("40");
      else if (text.startsWith("40")) {
        if (register === "yes") socket.send(`420["register","${id}"]`);
        else resolve();
      } else if (text.startsWith("430")) resolve();
    });
  });
}

const ids = Array.from({ length: Number(count) }, (_, i) => `user-${i}`);
for (let i = 0; i < ids.length; i += 50) await Promise.all(ids.slice(i, i + 50).map(connect));
process.on("message", (question) => {
  missing = question.count;
  process.send({ ready: true });
});
process.on("SIGTERM", () => process.exit(0));
process.send({ connected: true });
