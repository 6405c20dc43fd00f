/** Cumulative size by price, and the price range worth showing. Floats here are pixel positions to be. */

import { decimalsOf, formatDecimal, parseDecimal, toAxis, unitsOf } from "../decimal";
import type { Book, Level } from "../feed/wire";
import { withMinus } from "../format";

export interface DepthPoint {
  readonly x: number;
  readonly level: Level;
  /** Size of this level and of all better ones. */
  readonly cumulative: number;
  readonly orders: number;
}

export interface DepthCurves {
  readonly bids: readonly DepthPoint[];
  readonly asks: readonly DepthPoint[];
  readonly from: number;
  readonly to: number;
  /** Of each side, so many levels were asked for: one that has fewer is whole. */
  readonly levelsMax: number;
  /** Largest cumulative size inside the range. */
  readonly sizeMax: number;
}

/** How many times the median distance from the middle is still shown: stub quotes far away would flatten the rest. */
const RANGE_MEDIANS = 3;

/** Room beside the outermost levels, in which their own step is seen. */
const MARGIN = 1.05;

export function buildDepth(book: Pick<Book, "bids" | "asks" | "levelsMax">): DepthCurves | null {
  const bids = accumulate(book.bids);
  const asks = accumulate(book.asks);
  const bestBid = bids[0]?.x ?? asks[0]?.x;
  const bestAsk = asks[0]?.x ?? bids[0]?.x;
  if (bestBid === undefined || bestAsk === undefined) return null;
  const middle = (bestBid + bestAsk) / 2;
  const distances = [...bids, ...asks].map((point) => Math.abs(point.x - middle)).sort((a, b) => a - b);
  const median = distances[Math.floor(distances.length / 2)] ?? 0;
  const furthest = distances.at(-1) ?? 0;
  // A single price has no extent of its own; a thousandth of it gives the axis some.
  const half = Math.min(furthest, median * RANGE_MEDIANS) || Math.max(Math.abs(middle) / 1000, 1e-9);
  const [from, to] = [middle - half * MARGIN, middle + half * MARGIN];
  const inside = [...bids, ...asks].filter((point) => point.x >= from && point.x <= to);
  return { bids, asks, from, to, levelsMax: book.levelsMax, sizeMax: inside.reduce((max, point) => Math.max(max, point.cumulative), 0) };
}

/** The level whose size a position on the price axis has counted in: the last one passed on the way out. */
export function pointAt(curves: DepthCurves, x: number): { side: "B" | "A"; point: DepthPoint } | null {
  const bid = curves.bids.findLast((point) => point.x >= x);
  const ask = curves.asks.findLast((point) => point.x <= x);
  if (bid !== undefined && (ask === undefined || Math.abs(bid.x - x) <= Math.abs(ask.x - x))) return { side: "B", point: bid };
  return ask === undefined ? null : { side: "A", point: ask };
}

/**
 * What all size up to a point costs on average, to the price's decimals and two more. Exact until it is rounded, away
 * from the best price: nobody gets better than this.
 */
export function averagePrice(points: readonly DepthPoint[], end: DepthPoint): string {
  let [value, size] = [0n, 0n];
  for (const { level } of points) {
    value += parseDecimal(level.price) * BigInt(level.size);
    size += BigInt(level.size);
    if (level === end.level) break;
  }
  const decimals = Math.min(decimalsOf(end.level.price) + 2, 9);
  const unit = 10n ** BigInt(9 - decimals);
  const isRising = parseDecimal(end.level.price) >= parseDecimal(points[0]?.level.price ?? end.level.price);
  const [quotient, rest] = [value / (size * unit), value % (size * unit)];
  // Division of bigints rounds towards zero.
  const down = rest < 0n ? quotient - 1n : quotient;
  return withMinus(formatDecimal((isRising && rest !== 0n ? down + 1n : down) * unit, decimals));
}

/** How far two points are from each other, as a price. */
export function distanceOf(one: DepthPoint, other: DepthPoint): string {
  const distance = parseDecimal(one.level.price) - parseDecimal(other.level.price);
  return formatDecimal(distance < 0n ? -distance : distance, decimalsOf(one.level.price));
}

function accumulate(levels: readonly Level[]): DepthPoint[] {
  let cumulative = 0;
  let orders = 0;
  return levels.map((level) => {
    cumulative += level.size;
    orders += level.count;
    return { x: toAxis(unitsOf(level.price)), level, cumulative, orders };
  });
}
