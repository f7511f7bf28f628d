// What somebody plays with others, kept where their next page finds it. Knows no page: the tests play with it as well.
import { isGame, play, turnsOf } from "./rules.js";

/**
 * What a turn says. Turns come in order and once, so its column would do. Its number is for pages that come and go: a turn that
 * was not settled before a reload comes again after it, and what somebody played elsewhere is not known here.
 * @typedef {{ readonly turn: number, readonly column: number }} Turn
 */

export class Games {
  #me;
  #client;
  #storage;
  #onChange;

  /**
   * @param {string} me
   * @param {import("@usercast/client").Client} client
   * @param {Pick<Storage, "getItem" | "setItem">} storage
   * @param {() => void} onChange
   */
  constructor(me, client, storage, onChange) {
    this.#me = me;
    this.#client = client;
    this.#storage = storage;
    this.#onChange = onChange;
    // Also those of friends whose window is closed: a message that a page has handled does not come to the next one.
    client.on("turn", (turn, { from }) => from && this.#take(from, /** @type {Turn} */ (turn)));
    client.on("game", (game, { from }) => from && this.#compare(from, game));
  }

  /**
   * The game with a friend, as far as it is known here.
   * @param {string} friend
   * @returns {import("./rules.js").Game}
   */
  with(friend) {
    const game = JSON.parse(this.#storage.getItem(this.#key(friend)) ?? "null");
    return isGame(game) ? game : { begun: 0, columns: [] };
  }

  /**
   * 0 for who has the even turns, 1 for the other.
   * @param {string} friend
   */
  playerAgainst(friend) {
    return this.#me < friend ? 0 : 1;
  }

  /**
   * Plays a turn: on the board at once, and tried again until the server has it. Answers what becomes of it.
   * @param {string} friend
   * @param {number} column
   */
  async play(friend, column) {
    const game = this.with(friend);
    const turn = turnsOf(game);
    const next = turn % 2 === this.playerAgainst(friend) ? play(game, column) : undefined;
    if (next === undefined) return undefined;
    this.#keep(friend, next);
    return this.#client.to(friend).emit("turn", { turn, column });
  }

  /**
   * Tells a friend the whole game. A new page does: the last turn may not have left the page before it, and who knows more answers.
   * @param {string} friend
   */
  tell(friend) {
    this.#client.to(friend).emit("game", this.with(friend));
  }

  #take(/** @type {string} */ friend, /** @type {Turn} */ { turn, column }) {
    const game = this.with(friend);
    if (turn > turnsOf(game)) this.tell(friend);
    const isTheirs = turn === turnsOf(game) && turn % 2 !== this.playerAgainst(friend);
    const next = isTheirs ? play(game, column) : undefined;
    if (next !== undefined) this.#keep(friend, next);
  }

  #compare(/** @type {string} */ friend, /** @type {unknown} */ game) {
    if (!isGame(game)) return;
    if (turnsOf(game) < turnsOf(this.with(friend))) this.tell(friend);
    else this.#keep(friend, game);
  }

  /**
   * @param {string} friend
   * @param {import("./rules.js").Game} game
   */
  #keep(friend, game) {
    this.#storage.setItem(this.#key(friend), JSON.stringify(game));
    this.#onChange();
  }

  #key(/** @type {string} */ friend) {
    return `game:${JSON.stringify([this.#me, friend])}`;
  }
}
