import { copyOf } from "/demo-parts.js";
import { bodyOf, problemWords, stateWords, timeOf } from "/demo-words.js";

const MAX_ITEMS = 500;
const NEAR_END_PX = 80;

/**
 * What was said, as far as this window saw it. One list for all conversations: what comes from the back end is addressed
 * to the person and not part of any of them, so it is seen in whichever is open.
 */
export class Thread {
  #parts;
  #announce;
  #items = [];
  #peer;

  /** `parts`: the elements `scroller`, `list`, `empty` and `jump`. */
  constructor(parts, announce) {
    this.#parts = parts;
    this.#announce = announce;
    parts.jump.addEventListener("click", () => this.#toEnd());
    parts.scroller.addEventListener("scroll", () => this.#isAtEnd() && this.#hideJump(), { passive: true });
    // The keyboard of a phone, a longer draft, a state of two lines: the newest message stays in sight.
    let wasAtEnd = true;
    parts.scroller.addEventListener("scroll", () => (wasAtEnd = this.#isAtEnd()), { passive: true });
    const resized = new ResizeObserver(() => wasAtEnd && this.#toEnd());
    resized.observe(parts.scroller);
    resized.observe(parts.list);
  }

  /** Shows the conversation with `peer`. */
  show(peer) {
    this.#peer = peer;
    const { list } = this.#parts;
    // What is shown again is not said again.
    list.setAttribute("aria-live", "off");
    list.replaceChildren(...this.#items.filter((item) => this.#isShown(item)).map(({ element }) => element));
    requestAnimationFrame(() => list.setAttribute("aria-live", "polite"));
    this.#drawEmpty();
    this.#toEnd();
  }

  clear() {
    this.#items = [];
    this.#parts.list.replaceChildren();
  }

  /** A message or signal that arrived; without `from` it is the back end's. */
  received({ from, event, data, at, offset }) {
    const { element, parts } = copyOf("received-template");
    fill(parts.body, data);
    const who = [from ?? "Back end", ...(event === "message" ? [] : [event])];
    parts.from.textContent = who.join(" · ");
    if (from === undefined) element.classList.add("back-end");
    if (from === undefined || event !== "message") element.classList.add("labelled");
    const place = offset === undefined ? "signal, not kept" : `offset ${offset}`;
    parts.below.textContent = `${timeOf(at ?? Date.now())} · ${place}`;
    this.#add({ peer: from, element });
  }

  /** A message of one's own. The answer is its handle: `set(state, error)` says what became of it. */
  sent(peer, data, onRetry) {
    const { element, parts } = copyOf("sent-template");
    const item = { peer, element, parts, state: undefined };
    fill(parts.body, data);
    parts.time.textContent = timeOf(Date.now());
    parts.retry.addEventListener("click", () => {
      parts.retry.hidden = true;
      onRetry(item);
    });
    item.set = (state, error) => this.#setState(item, state, error);
    this.#add(item);
    this.#toEnd();
    return item;
  }

  /** A sentence of the page's own, in every conversation. */
  note(text, isProblem = false) {
    const { element, parts } = copyOf("note-template");
    parts.body.textContent = text;
    element.classList.toggle("problem", isProblem);
    this.#add({ peer: undefined, element });
  }

  /** The connection came or went: it changes what unsent messages wait for. */
  connection(isOnline) {
    for (const item of this.#items) {
      if (item.state === "sending" || item.state === "waiting") item.set(isOnline ? "sending" : "waiting");
    }
  }

  #setState(item, state, error) {
    if (item.state === state) return;
    item.state = state;
    const { parts, element, peer } = item;
    const { word, detail } = stateWords(state, peer);
    element.dataset.state = state;
    parts.icon.setAttribute("href", `#icon-${state}`);
    parts.word.textContent = word;
    parts.detail.textContent = error === undefined ? detail : problemWords(error);
    parts.retry.hidden = state !== "failed";
    if (state !== "sending") this.#announce(`Your message: ${word} ${parts.detail.textContent}`);
  }

  #add(item) {
    const wasAtEnd = this.#isAtEnd();
    this.#items.push(item);
    if (this.#items.length > MAX_ITEMS) this.#items.shift().element.remove();
    if (!this.#isShown(item)) return;
    this.#parts.list.append(item.element);
    this.#drawEmpty();
    if (wasAtEnd) this.#toEnd();
    else this.#parts.jump.hidden = false;
  }

  #isShown = ({ peer }) => peer === undefined || peer === this.#peer;

  #drawEmpty() {
    this.#parts.empty.hidden = this.#parts.list.childElementCount > 0;
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#parts.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  #toEnd() {
    this.#parts.scroller.scrollTop = this.#parts.scroller.scrollHeight;
    this.#hideJump();
  }

  #hideJump() {
    this.#parts.jump.hidden = true;
  }
}

function fill(element, data) {
  const { isText, text } = bodyOf(data);
  element.textContent = text;
  element.classList.toggle("json", !isText);
}
