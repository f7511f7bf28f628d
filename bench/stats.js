// What many measurements come to.

/**
 * The value below which a share of the numbers lies; between two of them, in proportion.
 * @param {readonly number[]} numbers
 * @param {number} share from 0 to 1
 */
export function quantile(numbers, share) {
  if (numbers.length === 0) return Number.NaN;
  const sorted = [...numbers].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const [low = Number.NaN, high = low] = sorted.slice(below, below + 2);
  return low + (high - low) * (place - below);
}

/** @param {readonly number[]} numbers */
export const median = (numbers) => quantile(numbers, 0.5);

/**
 * The middle of the numbers, and between what half of them lie.
 * @param {readonly number[]} samples
 */
export const spread = (samples) => ({
  median: median(samples),
  p25: quantile(samples, 0.25),
  p75: quantile(samples, 0.75),
  samples,
});

/** @param {readonly number[]} numbers */
export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
