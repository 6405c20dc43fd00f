/** What stands at the axes of the depth chart: round numbers, all of one axis with the same decimals. */

import { axisTexts, COUNT_UNITS } from "../axis-texts";
import { ceilSteps, formatDecimal, toAxis } from "../decimal";
import { withMinus } from "../format";
import { labelStep } from "../price-ticks";

export interface Label {
  /** On its axis: a price, or a size. */
  readonly at: number;
  readonly text: string;
}

const UNITS = 1e9;
const ROUND = [1, 2, 5, 10];

/** Prices of whole ticks for at most `count` labels between two of them, with `decimals` or more where a tick has more; `tick` in units of 1e-9. */
export function priceLabels(from: number, to: number, tick: bigint, decimals: number, count: number): Label[] {
  const least = ((to - from) * UNITS) / Number(tick) / Math.max(1, count);
  const step = tick * BigInt(labelStep(tick, Math.max(1, Math.ceil(least))));
  const labels: Label[] = [];
  for (let units = ceilSteps(BigInt(Math.ceil(from * UNITS)), step) * step; toAxis(units) <= to; units += step) {
    labels.push({ at: toAxis(units), text: withMinus(formatDecimal(units, decimals)) });
  }
  return labels;
}

/** Sizes from nothing to `top`, for about `count` steps. */
export function sizeLabels(top: number, count: number): Label[] {
  const rough = Math.max(1, top / Math.max(1, count));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = (ROUND.find((candidate) => candidate * power >= rough) ?? 10) * power;
  const sizes = Array.from({ length: Math.floor(top / step) + 1 }, (_, index) => index * step);
  const texts = axisTexts(sizes, COUNT_UNITS);
  return sizes.map((at, index) => ({ at, text: texts[index] ?? "" }));
}
