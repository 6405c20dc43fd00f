/**
 * The rows of the compact ladder: levels with orders only, best prices in the middle, highest price on top. The number of
 * rows depends on the depth alone, so that the middle stays where it is while the market moves.
 */

import { decimalsOf, formatDecimal, parseDecimal, unitsOf } from "../decimal";
import type { Book, Level } from "../feed/wire";
import { measures, type FlowSums } from "./ladder-grid";
import { sideOf, type Ladder, type LadderRow, type PriceRow, type RowFlow } from "./ladder-rows";

type Arranged = Pick<Ladder, "rows" | "centre">;
type FlowAt = (units: bigint) => RowFlow | null;

interface Priced {
  readonly level: Level;
  readonly units: bigint;
}

export function buildLadder(book: Pick<Book, "bids" | "asks"> | null, depth: number, flow: FlowSums | null = null): Ladder {
  const price = (level: Level): Priced => ({ level, units: unitsOf(level.price) });
  const flowAt: FlowAt = (units) => (flow === null ? null : rowFlow(flow, units));
  const bids = (book?.bids ?? []).slice(0, depth).map(price);
  const asks = (book?.asks ?? []).slice(0, depth).map(price);
  const overlapping = bids[0] !== undefined && asks[0] !== undefined && bids[0].units >= asks[0].units;
  const { rows, centre } = overlapping
    ? overlappingRows(bids, asks, depth, flowAt)
    : separateRows(bids, asks, depth, book === null ? "no book" : "no orders", flowAt);
  return { rows, centre, ...measures(rows) };
}

function rowFlow({ traded, bidNets, askNets }: FlowSums, units: bigint): RowFlow {
  const { bought, sold, unknown } = traded.get(units) ?? { bought: 0, sold: 0, unknown: 0 };
  return { bought, sold, unknown, bidNet: bidNets.get(units) ?? 0, askNet: askNets.get(units) ?? 0 };
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

function separateRows(bids: readonly Priced[], asks: readonly Priced[], depth: number, nothing: string, flowAt: FlowAt): Arranged {
  const row = (side: "bid" | "ask", { level, units }: Priced, best: boolean): PriceRow => {
    const sides = { bid: null, ask: null, [side]: sideOf(level) };
    return { kind: "level", price: level.price, ...sides, best, overlap: false, inside: false, flow: flowAt(units), cut: "", beyond: "" };
  };
  const spread = spreadOf({ bids: bids.map(({ level }) => level), asks: asks.map(({ level }) => level) });
  const text = spread ?? (bids.length + asks.length === 0 ? nothing : bids.length === 0 ? "no bids" : "no asks");
  const rows: LadderRow[] = [
    ...empties(depth - asks.length),
    ...asks.map((ask, index) => row("ask", ask, index === 0)).reverse(),
    { kind: "spread", label: spread === null ? "" : "spread", text },
    ...bids.map((bid, index) => row("bid", bid, index === 0)),
    ...empties(depth - bids.length),
  ];
  return { rows, centre: depth };
}

/** A crossed or locked book has prices with both sides between them: one row per price, in price order. */
function overlappingRows(bids: readonly Priced[], asks: readonly Priced[], depth: number, flowAt: FlowAt): Arranged {
  const merged = new Map<bigint, { bid: Level | null; ask: Level | null }>();
  for (const { level, units } of bids) merged.set(units, { bid: level, ask: null });
  for (const { level, units } of asks) merged.set(units, { bid: merged.get(units)?.bid ?? null, ask: level });
  const [bestBid, bestAsk] = [bids[0]?.units ?? 0n, asks[0]?.units ?? 0n];
  const sorted = [...merged.entries()].sort(([a], [b]) => (a > b ? -1 : a < b ? 1 : 0));
  const rows = sorted.map(([units, { bid, ask }]): PriceRow => {
    const best = (bid !== null && units === bestBid) || (ask !== null && units === bestAsk);
    const sides = { bid: bid === null ? null : sideOf(bid), ask: ask === null ? null : sideOf(ask) };
    const overlap = units <= bestBid && units >= bestAsk;
    return { kind: "level", price: (bid ?? ask)?.price ?? "", ...sides, best, overlap, inside: false, flow: flowAt(units), cut: "", beyond: "" };
  });
  const first = rows.findIndex((row) => row.overlap);
  const middle = Math.floor(first + (rows.filter((row) => row.overlap).length - 1) / 2);
  // An overlap far from the middle of its rows would push some out: then they come first.
  const spare = 2 * depth + 1 - rows.length;
  const above = Math.min(spare, Math.max(0, depth - middle));
  return { rows: [...empties(above), ...rows, ...empties(spare - above)], centre: above + middle };
}
