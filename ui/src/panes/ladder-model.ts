/**
 * The rows of the ladder, best prices in the middle, highest price on top. The number of rows depends on the
 * depth alone, so that the middle stays where it is while the market moves.
 */

import { decimalsOf, formatDecimal, parseDecimal } from "../decimal";
import type { Book, Level } from "../feed/wire";

export interface LevelRow {
  readonly kind: "level";
  readonly price: string;
  readonly bid: Level | null;
  readonly ask: Level | null;
  /** The best of its side. */
  readonly best: boolean;
  /** Between the best ask and the best bid of a crossed or locked book. */
  readonly overlap: boolean;
}

export type LadderRow =
  | LevelRow
  /** The middle of a book that is not crossed; the label is empty where there is no spread to name. */
  | { readonly kind: "spread"; readonly label: string; readonly text: string }
  /** Holds a place where the side has no more levels. */
  | { readonly kind: "empty" };

export interface Ladder {
  readonly rows: readonly LadderRow[];
  /** Index of the row that belongs in the middle of the view. */
  readonly centre: number;
  readonly sizeMax: number;
  readonly orderSizeMax: number;
  /** The most decimals of any price, for aligning the points. */
  readonly decimals: number;
}

type Arranged = Pick<Ladder, "rows" | "centre">;

interface Priced {
  readonly level: Level;
  readonly units: bigint;
}

export function buildLadder(book: Pick<Book, "bids" | "asks"> | null, depth: number): Ladder {
  const price = (level: Level): Priced => ({ level, units: parseDecimal(level.price) });
  const bids = (book?.bids ?? []).slice(0, depth).map(price);
  const asks = (book?.asks ?? []).slice(0, depth).map(price);
  const overlapping = bids[0] !== undefined && asks[0] !== undefined && bids[0].units >= asks[0].units;
  const { rows, centre } = overlapping ? overlappingRows(bids, asks, depth) : separateRows(bids, asks, depth, book === null ? "no book" : "no orders");
  const levels = [...bids, ...asks].map(({ level }) => level);
  return {
    rows,
    centre,
    sizeMax: Math.max(0, ...levels.map((level) => level.size)),
    orderSizeMax: levels.reduce((max, level) => Math.max(max, ...level.queue.map(([, size]) => size)), 0),
    decimals: Math.max(0, ...levels.map((level) => decimalsOf(level.price))),
  };
}

/** The price difference between the two best levels, exact; negative when the book is crossed. */
export function spreadOf(book: Pick<Book, "bids" | "asks">): string | null {
  const [bid, ask] = [book.bids[0], book.asks[0]];
  if (bid === undefined || ask === undefined) return null;
  const decimals = Math.max(decimalsOf(bid.price), decimalsOf(ask.price));
  return formatDecimal(parseDecimal(ask.price) - parseDecimal(bid.price), decimals);
}

function empties(count: number): LadderRow[] {
  return Array.from({ length: Math.max(0, count) }, () => ({ kind: "empty" }));
}

function separateRows(bids: readonly Priced[], asks: readonly Priced[], depth: number, nothing: string): Arranged {
  const row = (bid: Level | null, ask: Level | null, best: boolean): LevelRow => {
    return { kind: "level", price: (bid ?? ask)?.price ?? "", bid, ask, best, overlap: false };
  };
  const spread = spreadOf({ bids: bids.map(({ level }) => level), asks: asks.map(({ level }) => level) });
  const text = spread ?? (bids.length + asks.length === 0 ? nothing : bids.length === 0 ? "no bids" : "no asks");
  const rows: LadderRow[] = [
    ...empties(depth - asks.length),
    ...asks.map(({ level }, index) => row(null, level, index === 0)).reverse(),
    { kind: "spread", label: spread === null ? "" : "spread", text },
    ...bids.map(({ level }, index) => row(level, null, index === 0)),
    ...empties(depth - bids.length),
  ];
  return { rows, centre: depth };
}

/** A crossed or locked book has prices with both sides between them: one row per price, in price order. */
function overlappingRows(bids: readonly Priced[], asks: readonly Priced[], depth: number): Arranged {
  const merged = new Map<bigint, { bid: Level | null; ask: Level | null }>();
  for (const { level, units } of bids) merged.set(units, { bid: level, ask: null });
  for (const { level, units } of asks) merged.set(units, { bid: merged.get(units)?.bid ?? null, ask: level });
  const [bestBid, bestAsk] = [bids[0]?.units ?? 0n, asks[0]?.units ?? 0n];
  const sorted = [...merged.entries()].sort(([a], [b]) => (a > b ? -1 : a < b ? 1 : 0));
  const rows = sorted.map(([units, { bid, ask }]): LevelRow => {
    const best = (bid !== null && units === bestBid) || (ask !== null && units === bestAsk);
    return { kind: "level", price: (bid ?? ask)?.price ?? "", bid, ask, best, overlap: units <= bestBid && units >= bestAsk };
  });
  const first = rows.findIndex((row) => row.overlap);
  const middle = Math.floor(first + (rows.filter((row) => row.overlap).length - 1) / 2);
  // An overlap far from the middle of its rows would push some out: then they come first.
  const spare = 2 * depth + 1 - rows.length;
  const above = Math.min(spare, Math.max(0, depth - middle));
  return { rows: [...empties(above), ...rows, ...empties(spare - above)], centre: above + middle };
}
