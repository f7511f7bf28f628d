// Checked by the compiler alone: what must not compile is marked, and an unused mark fails.
import type { Server } from "socket.io";
import { type Outcome, type Receipt, usercast } from "../src/index.ts";

interface ToUser {
  message: (data: { text: string }) => void;
  ping: () => void;
}

interface FromUser {
  typing: (data: { in: string }) => void;
}

declare const io: Server;
const users = usercast<ToUser, FromUser>(io, { trustClients: true });

const receipt: Promise<Receipt> = users.to("ana").emit("message", { text: "hi" });
const outcomes: Promise<readonly Outcome[]> = users.to(["ana", 7]).send({ text: "hi" });
users.to("ana").volatile.emit("ping");
// @ts-expect-error: a signal answers nothing
void users.to("ana").volatile.emit("ping").then;
void [receipt, outcomes];

// @ts-expect-error: the data of another event
void users.to("ana").emit("message", { in: "r" });
// @ts-expect-error: no data
void users.to("ana").emit("message");
// @ts-expect-error: data too many
void users.to("ana").emit("ping", 1);
// @ts-expect-error: an event that is none
void users.to("ana").emit("pong");
// @ts-expect-error: an id is text or a number
void users.to(null);

users.on("typing", (userId, data) => {
  const where: [string, string] = [userId, data.in];
  void where;
});
users.on("online", (userId: string) => void userId);
// @ts-expect-error: an event users do not send
users.on("talking", () => {});

interface TwoData {
  move: (x: number, y: number) => void;
}
// @ts-expect-error: a message has exactly one piece of data
usercast<TwoData>(io, { trustClients: true });

const untyped = usercast(io, { trustClients: true });
void untyped.to("ana").emit("anything", { at: "all" });
void untyped.to("ana").send("hi");
untyped.on("chat", (userId, data) => void [userId, data]);
