/** How sizes become colours and areas: percentiles of what is in view, held steady so that nothing flickers. */

/** The share of what is in view that the scale tells apart; all above has the last colour. */
export const HEAT_PERCENTILE = 0.98;
/** A new maximum is taken over when it is so many times the old one, or so small a part of it. */
const GROW = 1.25;
const SHRINK = 0.6;
const ROUND = [1, 1.5, 2, 3, 5, 7.5, 10];

/** Of the first `count` values, which are sorted by this; 0 when there is none. */
export function percentile(values: Float64Array, count: number, share: number): number {
  if (count === 0) return 0;
  const sorted = values.subarray(0, count).sort();
  return sorted[Math.min(count - 1, Math.floor(share * count))] ?? 0;
}

/** Up to a number that people like to read, so that a legend can say it. */
export function roundUpSize(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = ROUND.find((candidate) => candidate * power >= value * (1 - 1e-9)) ?? 10;
  return Math.max(1, Math.round(factor * power));
}

/** The upper end of a scale. */
export class SteadyMax {
  value = 0;

  /** Whether the end has moved. Nothing measured leaves it where it is. */
  propose(measured: number): boolean {
    if (!(measured > 0)) return false;
    const steady = this.value > 0 && measured <= this.value * GROW && measured >= this.value * SHRINK;
    const rounded = roundUpSize(measured);
    if (steady || rounded === this.value) return false;
    this.value = rounded;
    return true;
  }

  clear(): void {
    this.value = 0;
  }
}

/** The place of a size on the scale, 0 to 1. */
export function heat(size: number, max: number): number {
  return max > 0 && size > 0 ? Math.min(1, size / max) : 0;
}
