// People who write to each other. Who somebody is comes from a session, and only friends may write.
import { createServer } from "node:http";
import { usercast } from "@usercast/server";
import { Server } from "socket.io";

// These two stand for the application's own sessions and its own idea of who knows whom.
const sessions = new Map(Object.entries({ "session-1": "ana", "session-2": "bo", "session-3": "mallory" }));
const friends = new Map(Object.entries({ ana: ["bo"], bo: ["ana"] }));

const server = createServer();
usercast(new Server(server), {
  authenticate: ({ handshake }) => sessions.get(handshake.auth.token) ?? null,
  // With `receipts`, the sender learns when the message was delivered and read; with `true` only that it was accepted.
  authorize: (sender, recipient) => (friends.get(sender)?.includes(recipient) ? { receipts: true } : false),
});

server.listen(process.env.PORT ?? 3000, () => console.log(`Listening on http://localhost:${server.address().port}`));
