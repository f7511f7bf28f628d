// The board, drawn: a button for each column, with a place for each disc.
import { boardOf, COLUMNS, ROWS } from "./rules.js";

export class Board {
  #element;
  #columns;

  constructor(element, onPlay) {
    this.#element = element;
    this.#columns = Array.from({ length: COLUMNS }, (_, column) => {
      const button = document.createElement("button");
      button.append(...Array.from({ length: ROWS }, () => document.createElement("i")));
      button.addEventListener("click", () => onPlay(column));
      return button;
    });
    element.prepend(...this.#columns);
  }

  /** Shows a game between two people, of whom the first has the even turns. */
  draw(game, isMyTurn, names) {
    const { discs, heights, isOver, winning } = boardOf(game);
    for (const [column, button] of this.#columns.entries()) {
      const places = Array.from(button.children, (_, row) => row * COLUMNS + column);
      const inside = places.slice(0, heights[column]).map((place) => names[discs[place]]);
      button.ariaLabel = `Column ${column + 1}, from below: ${inside.join(", ") || "empty"}`;
      button.disabled = !isMyTurn || (heights[column] === ROWS && !isOver);
      for (const [row, place] of places.entries()) {
        const { classList } = button.children[row];
        classList.toggle("player-0", discs[place] === 0);
        classList.toggle("player-1", discs[place] === 1);
        classList.toggle("wins", winning.includes(place));
        classList.toggle("last", column === game.columns.at(-1) && row === heights[column] - 1);
      }
    }
  }

  /** A place on the screen as a share of the board, because windows differ in size. */
  placeOf(clientX, clientY) {
    const { left, top, width, height } = this.#element.getBoundingClientRect();
    return { x: (clientX - left) / width, y: (clientY - top) / height };
  }

  /** Shows where the other one points, or that they do not. */
  showPointer(place) {
    const pointer = this.#element.querySelector(".pointer");
    pointer.hidden = place === null;
    if (place === null) return;
    pointer.style.left = `${place.x * 100}%`;
    pointer.style.top = `${place.y * 100}%`;
  }
}
