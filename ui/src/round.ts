/** The tops of axes. */

/** Fine enough that a chart never stands in the lower half of its box. */
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** The next round number that holds the value. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = ROUND.find((candidate) => value <= candidate * power * (1 + 1e-9));
  return (step ?? 10) * power;
}
