/** Prices for an axis: round ones, all of them whole ticks. */

import type { PriceGrid } from "./price-grid";
import type { PriceRange } from "./heatmap-range";

const ROUND = [1n, 2n, 5n, 10n];
/** A round step may be so many times the smallest that fits; beyond, a multiple of the tick by powers of two reads better than gaps. */
const ROUND_FACTOR_MAX = 2.6;

/** Ticks of the labelled prices in view, at least `gapPx` apart; none until a price is known. */
export function priceTicks(grid: PriceGrid, range: PriceRange, gapPx: number): number[] {
  if (grid.tick === 0n) return [];
  const step = labelStep(grid.tick, Math.max(1, Math.ceil((gapPx * range.rowTicks) / range.rowPx)));
  const [from, to] = [range.bottom * range.rowTicks, (range.bottom + range.rows) * range.rowTicks];
  const ticks: number[] = [];
  for (let at = Math.ceil(from / step) * step; at < to; at += step) ticks.push(at);
  return ticks;
}

/** The number of ticks, `least` or more, that makes the roundest prices; `tick` in units of 1e-9. */
export function labelStep(tick: bigint, least: number): number {
  if (tick === 0n) return least;
  const wanted = tick * BigInt(least);
  for (let power = 1n; power <= wanted * 10n; power *= 10n) {
    const found = ROUND.map((factor) => factor * power).find((units) => units >= wanted && units % tick === 0n);
    if (found !== undefined && Number(found) <= Number(wanted) * ROUND_FACTOR_MAX) return Number(found / tick);
  }
  return 2 ** Math.ceil(Math.log2(least));
}
