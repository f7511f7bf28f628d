// The window of one player. Turns are messages: in order, once, kept for who is away. Pointers are signals: worth something now or never.
import { connect } from "@usercast/client";
import { Board } from "./board.js";
import { Games } from "./games.js";
import { boardOf, turnsOf } from "./rules.js";

const POINTER_MS = 40; // between two signals: 25 a second, of the 50 sends that the server takes
const STILL_MS = 5_000; // a pointer that rests so long is not shown: its window may be closed

const address = new URLSearchParams(location.search);
const me = address.get("me") ?? "ana";
const friend = address.get("with") ?? (me === "ana" ? "bo" : "ana");
const element = (id) => document.getElementById(id);

const client = connect(location.origin, { userId: me, sendTimeoutMs: 86_400_000 });
const games = new Games(me, client, localStorage, draw);
const mine = games.playerAgainst(friend);
const board = new Board(element("board"), play);
let sent = {}; // this window's last turn, and what has become of it

async function play(column) {
  sent = {};
  try {
    sent = (await games.play(friend, column)) ?? {};
  } catch ({ message }) {
    sent = { message };
  }
  draw();
}

function draw() {
  const game = games.with(friend);
  const isMyTurn = turnsOf(game) % 2 === mine;
  board.draw(game, isMyTurn, mine === 0 ? [me, friend] : [friend, me]);
  element("me").classList.toggle("next", isMyTurn);
  element("friend").classList.toggle("next", !isMyTurn);
  element("state").textContent = stateOf(game, isMyTurn);
  element("note").textContent = noteOf(game, isMyTurn);
}

function stateOf(game, isMyTurn) {
  const { isOver, winning, discs } = boardOf(game);
  if (!isOver) return isMyTurn ? "Your turn" : `${friend}’s turn`;
  if (winning.length === 0) return "A draw";
  return discs[winning[0]] === mine ? "You have won" : `${friend} has won`;
}

function noteOf(game, isMyTurn) {
  if (client.status !== "online") return "No connection. Your turns wait here until it is back.";
  if (isMyTurn) return boardOf(game).isOver ? "Pick a column to begin the next game." : `${friend} sees where you point.`;
  if (sent.message) return `Your turn was not sent. ${sent.message}`;
  const isThere = sent.state === "delivered" || sent.state === "read";
  return isThere ? `${friend}’s window has your turn.` : `Your turn is kept until ${friend} is here.`;
}

let pointer = null; // where it is now; null beside the board
let isTelling = false;
function point(place) {
  pointer = place;
  if (isTelling) return;
  isTelling = true;
  setTimeout(() => {
    isTelling = false;
    client.to(friend).volatile.emit("pointer", pointer);
  }, POINTER_MS);
}
element("board").addEventListener("pointermove", ({ clientX, clientY }) => point(board.placeOf(clientX, clientY)));
element("board").addEventListener("pointerleave", () => point(null));

let stillTimer;
client.on("pointer", (place, { from }) => {
  if (from !== friend) return;
  clearTimeout(stillTimer);
  stillTimer = setTimeout(() => board.showPointer(null), STILL_MS);
  board.showPointer(place);
});

client.lifecycle.on("receipt", ({ key, state }) => {
  if (key === sent.key) sent = { key, state };
  draw();
});
client.lifecycle.on("status", draw);
addEventListener("storage", draw); // something was played in another window of this user

element("me").textContent = me;
element("me").classList.add(`player-${mine}`);
for (const id of ["friend", "pointer"]) {
  element(id).textContent = friend;
  element(id).classList.add(`player-${1 - mine}`);
}
element("other").textContent = `Open ${friend}’s window`;
element("other").href = `?${new URLSearchParams({ me: friend, with: me })}`;
games.tell(friend);
draw();
