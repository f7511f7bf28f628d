// Connect four, and nothing of networks. Players take turns for ever: the turn after the end of a game begins the next one.

/**
 * The game two people are in: the columns of its turns, and how many turns they have had before it. Even turns are the first player's.
 * @typedef {{ readonly begun: number, readonly columns: readonly number[] }} Game
 */

export const COLUMNS = 7;
export const ROWS = 6;
const PLACES = COLUMNS * ROWS;
const DIRECTIONS = [
  [1, 0],
  [0, 1],
  [1, 1],
  [1, -1],
];

/** @param {Game} game */
export const turnsOf = ({ begun, columns }) => begun + columns.length;

/**
 * Whose disc is where, counted from the bottom left, and the four or more that have won.
 * @param {Game} game
 */
export function boardOf({ begun, columns }) {
  /** @type {(number | undefined)[]} */
  const discs = Array(PLACES).fill(undefined);
  const heights = Array(COLUMNS).fill(0);
  /** @type {readonly number[]} */
  let winning = [];
  columns.forEach((column, i) => {
    const place = heights[column]++ * COLUMNS + column;
    discs[place] = (begun + i) % 2;
    winning = winningThrough(discs, place);
  });
  return { discs, heights, winning, isOver: winning.length > 0 || columns.length === PLACES };
}

/**
 * The game with one more turn, or undefined where that is against the rules.
 * @param {Game} game
 * @param {unknown} column
 * @returns {Game | undefined}
 */
export function play(game, column) {
  const { heights, isOver } = boardOf(game);
  if (typeof column !== "number" || !(heights[column] < ROWS || (isOver && column in heights))) return undefined;
  return isOver ? { begun: turnsOf(game), columns: [column] } : { ...game, columns: [...game.columns, column] };
}

/**
 * Whether something from elsewhere is a game, played by the rules.
 * @param {any} value
 * @returns {value is Game}
 */
export function isGame(value) {
  const { begun, columns } = value ?? {};
  if (!Number.isSafeInteger(begun) || begun < 0 || !Array.isArray(columns) || columns.length > PLACES) return false;
  /** @type {Game | undefined} */
  let game = { begun, columns: [] };
  for (const column of columns) game = game && play(game, column);
  return game?.begun === begun;
}

/**
 * @param {readonly (number | undefined)[]} discs
 * @param {number} place
 */
function winningThrough(discs, place) {
  const at = (/** @type {number} */ column, /** @type {number} */ row) =>
    column >= 0 && column < COLUMNS && discs[row * COLUMNS + column] === discs[place] ? row * COLUMNS + column : -1;
  const winning = DIRECTIONS.map(([right = 0, up = 0]) => {
    const line = [place];
    for (const sign of [1, -1]) {
      for (let step = sign; ; step += sign) {
        const next = at((place % COLUMNS) + right * step, Math.floor(place / COLUMNS) + up * step);
        if (next === -1) break;
        line.push(next);
      }
    }
    return line;
  });
  return winning.filter((line) => line.length >= 4).flat();
}
