import { pathOf } from "/demo-words.js";

const INTERVAL_MS = 2_000;
const TIMEOUT_MS = 5_000;
const MAX_OTHERS = 4;

/**
 * Asks who is there, every two seconds while anybody looks at the page. The wire has no way yet to be told of a change, so
 * this is the HTTP API's answer, asked again and again: for the person one talks to each time, for the others in turn.
 */
export class Presence {
  #people;
  #tell;
  #running = false;
  #timer;
  #turn = 0;
  #round = 0;

  /** `people` answers `{ first, others }`, the ids to ask for; `tell(id, presence)` takes what is known, or nothing. */
  constructor(people, tell) {
    this.#people = people;
    this.#tell = tell;
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  start() {
    this.#running = true;
    this.refresh();
  }

  /** Asks no more; what was known gets old, so it is taken back. */
  stop() {
    this.#running = false;
    this.refresh();
    const { first, others } = this.#people();
    for (const id of [first, ...others]) this.#tell(id, undefined);
  }

  /** Asks now. Whatever was under way is out of date. */
  refresh() {
    clearTimeout(this.#timer);
    this.#round += 1;
    if (this.#running && !document.hidden) void this.#ask(this.#round);
  }

  async #ask(round) {
    const { first, others } = this.#people();
    const some = others.length <= MAX_OTHERS ? others : [...others, ...others].slice(this.#turn, this.#turn + MAX_OTHERS);
    this.#turn = others.length === 0 ? 0 : (this.#turn + MAX_OTHERS) % others.length;
    await Promise.all(
      [first, ...some].map(async (id) => {
        const presence = await presenceOf(id);
        if (round === this.#round) this.#tell(id, presence);
      }),
    );
    if (round === this.#round) this.#timer = setTimeout(() => this.#ask(round), INTERVAL_MS);
  }
}

async function presenceOf(id) {
  try {
    const response = await fetch(pathOf(id), { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined; // the server cannot be reached, which the connection's own status tells
  }
}
