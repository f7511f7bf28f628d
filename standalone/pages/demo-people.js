import { copyOf, drawAvatar, drawPresence } from "/demo-parts.js";
import { presenceWords, short } from "/demo-words.js";

const MAX_PEOPLE = 30;

/** The people one talks to. Beyond the limit the one that was active longest ago leaves the list. */
export class People {
  #list;
  #onSelect;
  #people = new Map();
  #selected;
  #activity = 0;

  constructor(list, onSelect) {
    this.#list = list;
    this.#onSelect = onSelect;
  }

  get selected() {
    return this.#selected;
  }

  /** Ids to ask presence for. */
  get ids() {
    return { first: this.#selected.id, others: [...this.#people.keys()].filter((id) => id !== this.#selected.id) };
  }

  get unread() {
    let sum = 0;
    for (const { unread } of this.#people.values()) sum += unread;
    return sum;
  }

  /** The person of this id, who is added where it is somebody new. */
  add(id) {
    const person = this.#people.get(id) ?? this.#create(id);
    this.#activity += 1;
    person.active = this.#activity;
    return person;
  }

  select(id) {
    const person = this.add(id);
    this.#selected?.parts.button.removeAttribute("aria-current");
    this.#selected = person;
    person.parts.button.setAttribute("aria-current", "true");
    person.parts.button.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.#onSelect(person);
  }

  setUnread(id, unread) {
    const person = this.#people.get(id);
    if (person === undefined) return;
    person.unread = unread;
    const { parts } = person;
    parts.unread.hidden = unread === 0;
    parts.unread.textContent = unread > 99 ? "99+" : String(unread);
    parts.unread.setAttribute("aria-label", `${unread} unread`);
  }

  setPresence(id, presence) {
    const person = this.#people.get(id);
    if (person === undefined) return;
    person.presence = presence;
    drawPresence(person.parts.avatar, presence);
    person.parts.presence.textContent = presenceWords(presence, Date.now());
  }

  clear() {
    this.#list.replaceChildren();
    this.#people.clear();
    this.#selected = undefined;
  }

  #create(id) {
    if (this.#people.size >= MAX_PEOPLE) this.#dropOldest();
    const { element, parts } = copyOf("person-template");
    parts.button = element.firstElementChild;
    parts.button.addEventListener("click", () => this.select(id));
    parts.name.textContent = short(id);
    parts.button.title = id;
    drawAvatar(parts.avatar, id);
    const person = { id, element, parts, presence: undefined, unread: 0, draft: "", active: 0 };
    this.#people.set(id, person);
    this.#list.append(element);
    this.setPresence(id, undefined);
    return person;
  }

  #dropOldest() {
    const [oldest] = [...this.#people.values()].filter((person) => person !== this.#selected).sort((a, b) => a.active - b.active);
    oldest?.element.remove();
    this.#people.delete(oldest?.id);
  }
}
