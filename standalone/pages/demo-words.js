// What the page says, apart from where it says it: values in, words out.

const SHORT = 24;
const MAX_SHOWN = 1_500;
const MAX_LINE = 72;
const DAY_MS = 86_400_000;

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** An id that fits into a sentence. */
export const short = (text) => {
  const characters = [...text];
  return characters.length > SHORT ? `${characters.slice(0, SHORT - 1).join("")}…` : text;
};

export const timeOf = (at) => clockTime.format(at);

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** What happened to a message of one's own: a word for the state, and what it means for this one. */
export function stateWords(state, to) {
  switch (state) {
    case "sending":
      return { word: "Sending", detail: "" };
    case "waiting":
      return { word: "Waiting", detail: "for the connection" };
    case "accepted":
      return { word: "Accepted", detail: `kept for ${short(to)}` };
    case "delivered":
      return { word: "Delivered", detail: `to ${short(to)}` };
    case "read":
      return { word: "Read", detail: `by ${short(to)}` };
    default:
      return { word: "Not sent", detail: "" };
  }
}

// The SDK's bundle leaves the sentences out and brings the codes alone. These are the ones a person can bring about here.
const SENTENCES = {
  INVALID_USER_ID: "A user id has 1 to 512 bytes and no control characters",
  PAYLOAD_TOO_LARGE: "It is larger than the server accepts",
  OUTBOX_FULL: "Too many messages wait already",
  SEND_EXPIRED: "No server confirmed it in time, so it may have been accepted or not",
  CLIENT_CLOSED: "This window is no longer connected",
  RATE_LIMITED: "Too many in a short time",
};

/** What went wrong: a sentence, and the stable code. */
export function problemWords({ code, message }) {
  const sentence = SENTENCES[code] ?? message;
  return sentence === code ? code : `${sentence.replace(/\.$/, "")} (${code})`;
}

/** The connection of this window. `chosen`: it was the person who went offline. */
export function statusWords(status, { chosen, closing }) {
  if (status === "online") return "Connected";
  if (status === "connecting") return "Connecting…";
  if (status === "offline") return chosen ? "Offline, messages wait" : "Reconnecting, messages wait";
  return closing === undefined ? "Disconnected" : `Ended by the server: ${closing.code}`;
}

/** Whether somebody is there; `presence` is what the server said, or nothing where that is not known. */
export function presenceWords(presence, now) {
  if (presence === undefined) return "Presence not known";
  if (presence.online) {
    const count = presence.connections.length;
    return count > 1 ? `Online in ${count} windows` : "Online";
  }
  const { lastSeen } = presence;
  if (lastSeen === undefined) return "Offline, not seen yet";
  return `Offline since ${now - lastSeen < DAY_MS ? timeOf(lastSeen) : day.format(lastSeen)}`;
}

/** Messages that will not come, and why. */
export function missedWords({ after, before, reason }) {
  if (reason === "epoch") return "The mailbox began a new life on the server. What it held before will not come.";
  if (reason === "rewound") return "The server lost the newest part of the mailbox. It goes on from what is left.";
  const count = before - after - 1;
  const which = count === 1 ? `offset ${after + 1}` : `offsets ${after + 1} to ${before - 1}`;
  const why = reason === "expired" ? "expired before delivery" : "had to make room for newer ones";
  return `${plural(count, "message", "messages")} (${which}) will not come: ${why}.`;
}

/** Data as it is shown: text as it is, everything else as JSON. */
export function bodyOf(data) {
  if (typeof data === "string") return { isText: true, text: cut(data) };
  const line = JSON.stringify(data, binaryAsWords);
  return { isText: false, text: cut(line.length > MAX_LINE ? JSON.stringify(data, binaryAsWords, 2) : line) };
}

const cut = (text) => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)` : text);

const binaryAsWords = (_key, value) =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? `(binary, ${plural(value.byteLength, "byte", "bytes")})` : value;

/** The path of a user in the HTTP API, also safe within the quotes of a shell. */
export const pathOf = (userId) =>
  `/v1/users/${encodeURIComponent(userId.toWellFormed()).replace(
    /[!'()*~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )}`;

/** The back end's call for a terminal, in the pieces a line may be broken between: a space goes before all but the path. */
export const curlPieces = (origin, userId) => [
  "curl",
  " -X POST",
  ` ${origin}`,
  `${pathOf(userId)}/messages`,
  " -H 'content-type: application/json'",
  ` -d '{"data":"hi"}'`,
];
