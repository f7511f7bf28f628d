import { CallPanel } from "/demo-call.js";
import { drawAvatar, drawPresence } from "/demo-parts.js";
import { People } from "/demo-people.js";
import { Presence } from "/demo-presence.js";
import { Thread } from "/demo-thread.js";
import { Unseen } from "/demo-unseen.js";
import { missedWords, presenceWords, problemWords, short, statusWords } from "/demo-words.js";

const SUGGESTED = ["ana", "bo"];

const at = (id) => document.getElementById(id);
const text = at("text");

const announce = (words) => {
  at("announcer").textContent = words;
};

const thread = new Thread({ scroller: at("scroller"), list: at("messages"), empty: at("empty"), jump: at("jump") }, announce);
const call = new CallPanel(at("call"), announce);
const people = new People(at("people"), drawSelected);
const presence = new Presence(() => people.ids, setPresence);

/** The client of whoever has signed in, and what goes with it. */
let me;
let chosenOffline = false;
let closing;
const unseen = new Unseen();

// ── Signing in and leaving ──────────────────────────────────────────────────────────────────────────────────────────────
// Who one is stands in the address, so that a reload, a bookmark and the Back button do what one thinks.

function fromAddress() {
  const query = new URLSearchParams(location.search);
  const userId = query.get("user");
  leave();
  if (userId !== null) join(userId, query.get("to") ?? undefined);
}

function goTo(query) {
  history.pushState(null, "", query === undefined ? location.pathname : `?${new URLSearchParams(query)}`);
  fromAddress();
}

function join(userId, peer) {
  try {
    // An event this page has no handler for is shown as it is, so nothing needs to wait for one.
    me = globalThis.usercast.connect(location.origin, { userId, handlerWaitMs: 0 });
  } catch (error) {
    at("user-id").value = userId;
    at("sign-in-problem").textContent = problemWords(error);
    return;
  }
  listen(me);
  at("me").textContent = short(userId);
  at("me").title = userId;
  at("sign-in").hidden = true;
  at("chat").hidden = false;
  for (const id of SUGGESTED) if (id !== userId) people.add(id);
  people.select(peer ?? SUGGESTED.find((id) => id !== userId));
  drawStatus("connecting");
  text.focus();
}

function leave() {
  me?.close();
  me = undefined;
  chosenOffline = false;
  closing = undefined;
  if (people.selected !== undefined) presence.stop();
  people.clear();
  thread.clear();
  unseen.clear();
  text.value = "";
  at("chat").hidden = true;
  at("sign-in").hidden = false;
  at("sign-in-problem").textContent = "";
  document.title = "Usercast";
  at("user-id").focus();
}

// ── What the client tells ───────────────────────────────────────────────────────────────────────────────────────────────

function listen(client) {
  const listeners = {
    status: drawStatus,
    unhandled: ({ event, data, info }) => arrived(event, data, info),
    read: ({ offset }) => {
      for (const id of unseen.readElsewhere(offset)) people.setUnread(id, 0);
      drawTitle();
    },
    missed: (missed) => thread.note(missedWords(missed)),
    error: (error) => thread.note(problemWords(error), true),
    closing: (told) => {
      closing = told;
      thread.note(`The server ends the connection: ${problemWords(told)}`, true);
    },
  };
  // A client that was left may still have something to tell.
  for (const [event, listener] of Object.entries(listeners)) {
    client.lifecycle.on(event, (payload) => client === me && listener(payload));
  }
  client.on("message", (data, info) => client === me && arrived("message", data, info));
}

function arrived(event, data, { from, at: acceptedAt, epoch, offset }) {
  const person = from === undefined ? people.selected : people.add(from);
  thread.received({ from, event, data, at: acceptedAt, offset });
  if (offset !== undefined) unseen.arrived(person.id, epoch, offset);
  if (person === people.selected && !document.hidden) {
    seen();
    return;
  }
  people.setUnread(person.id, person.unread + 1);
  if (person !== people.selected) announce(`New message from ${short(person.id)}`);
  drawTitle();
}

/** The conversation that is open was read, if anybody looks at it. */
function seen() {
  const { selected } = people;
  if (document.hidden || selected === undefined) return;
  people.setUnread(selected.id, 0);
  unseen.see(selected.id);
  me.markRead(unseen.seenUpTo);
  drawTitle();
}

function drawStatus(status) {
  const isOnline = status === "online";
  if (isOnline) closing = undefined;
  at("status").dataset.status = status;
  at("status").textContent = statusWords(status, { chosen: chosenOffline, closing });
  at("go-offline").textContent = chosenOffline || status === "closed" ? "Go online" : "Go offline";
  thread.connection(isOnline);
  if (isOnline) presence.start();
  else presence.stop();
}

// ── Sending ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function send(item, data) {
  const client = me;
  item.set(client.status === "online" ? "sending" : "waiting");
  try {
    const sent = await client.to(item.peer).emit("message", data);
    if (client !== me) return;
    item.set(sent.state);
    sent.on("change", (state) => client === me && item.set(state));
  } catch (error) {
    if (client !== me) return;
    item.set("failed", error);
  }
  presence.refresh();
}

// ── The conversation that is open ───────────────────────────────────────────────────────────────────────────────────────

let drafting;

function drawSelected(person) {
  if (drafting !== undefined && drafting !== person) drafting.draft = text.value;
  drafting = person;
  text.value = person.draft;
  at("peer").textContent = person.id;
  at("peer").title = person.id;
  drawAvatar(at("peer-avatar"), person.id);
  drawSelectedPresence();
  at("empty-peer").textContent = short(person.id);
  const link = at("second-window");
  link.href = `?${new URLSearchParams({ user: person.id, to: me.userId })}`;
  link.querySelector("bdi").textContent = short(person.id);
  thread.show(person.id);
  call.show(me.userId, person.id);
  presence.refresh();
  seen();
}

function drawSelectedPresence() {
  const { presence: known } = people.selected;
  drawPresence(at("peer-avatar"), known);
  at("presence").textContent = presenceWords(known, Date.now());
}

function setPresence(id, known) {
  const { selected } = people;
  const before = selected?.presence;
  people.setPresence(id, known);
  if (id !== selected?.id) return;
  drawSelectedPresence();
  if (before !== undefined && known !== undefined && before.online !== known.online) {
    announce(`${short(id)} is ${known.online ? "online" : "offline"}`);
  }
}

function drawTitle() {
  const { unread } = people;
  document.title = `${unread > 0 ? `(${unread}) ` : ""}${short(me.userId)} · Usercast`;
}

// ── What the person does ────────────────────────────────────────────────────────────────────────────────────────────────

at("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const user = at("user-id").value.trim();
  if (user !== "") goTo({ user });
  else at("sign-in-problem").textContent = "Write a name first, any name.";
});
at("suggestions").addEventListener("click", ({ target }) => {
  if (target.value) goTo({ user: target.value });
});

at("add-person").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = at("person-id").value.trim();
  if (id === "") return;
  at("person-id").value = "";
  people.select(id);
  text.focus();
});

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const data = text.value;
  if (data.trim() === "") return;
  text.value = "";
  void send(
    thread.sent(people.selected.id, data, (item) => void send(item, data)),
    data,
  );
});

text.addEventListener("keydown", (event) => {
  // While an input method composes, Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("composer").requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || me === undefined) return;
  // A draft is not lost together with everything else: the first Escape empties it, the next one leaves.
  if (text.value === "") goTo();
  else text.value = "";
});

at("leave").addEventListener("click", () => goTo());
at("go-offline").addEventListener("click", () => {
  const isUp = me.socket.active;
  chosenOffline = isUp;
  if (isUp) me.socket.disconnect();
  else me.socket.connect();
  drawStatus(me.status);
});

at("second-window").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  // Without an opener, and so with a session of its own.
  open(event.currentTarget.href, "_blank", "popup,noopener,width=480,height=800");
});

document.addEventListener("visibilitychange", seen);

addEventListener("popstate", fromAddress);
fromAddress();
