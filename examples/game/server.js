// Two people play connect four, each in their own window: http://localhost:3000/?me=ana&with=bo and ?me=bo&with=ana
// There is no game in here. Who is away finds the other's turns in their mailbox; pointers are gone when nobody looks.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { usercast } from "@usercast/server";
import { Server } from "socket.io";

const FILES = {
  "/": ["text/html", "page.html"],
  "/page.css": ["text/css", "page.css"],
  "/board.css": ["text/css", "board.css"],
  "/page.js": ["text/javascript", "page.js"],
  "/board.js": ["text/javascript", "board.js"],
  "/games.js": ["text/javascript", "games.js"],
  "/rules.js": ["text/javascript", "rules.js"],
  "/usercast.js": ["text/javascript", import.meta.resolve("@usercast/client/browser")],
};

const server = createServer((request, response) => {
  const [type, file] = FILES[new URL(request.url, "http://localhost").pathname] ?? [];
  if (file === undefined) return response.writeHead(404).end();
  response.setHeader("content-type", `${type}; charset=utf-8`);
  response.end(readFileSync(new URL(file, import.meta.url)));
});
usercast(new Server(server), {
  trustClients: true, // development: who somebody is stands in the address of their window
  authorize: () => ({ receipts: true }), // anybody may play with anybody; an application would look whether they are friends
  sendRate: { points: 50, durationMs: 1_000 }, // pointers, 25 a second at most, must leave room for turns
});

server.listen(process.env.PORT ?? 3000, () => {
  const url = `http://localhost:${server.address().port}`;
  console.log(`Play at ${url}/?me=ana&with=bo\n    and ${url}/?me=bo&with=ana`);
});
