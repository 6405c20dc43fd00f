/**
 * The rows of a static ladder: every price of the grid between the first row and the last, whether or not anything rests
 * there. A row of several ticks holds the bids from its price up to the next row's, and the asks down to the row below:
 * a bid is never shown better than it is, nor an ask. What was traded follows the side it was traded against.
 */

import { ceilSteps, decimalsOf, floorSteps, formatDecimal, unitsOf } from "../decimal";
import type { Book, Level } from "../feed/wire";
import type { Flow } from "../flow";
import { sideOf, type Ladder, type LadderRow, type RowFlow, type RowSide, type Sides } from "./ladder-rows";

/** Prices are written with at least so many decimals, here as on the wire. */
const DECIMALS_MIN = 2;

export interface Grid {
  /** The price of one row, in units of 1e-9; 0 while no price is known. */
  readonly step: bigint;
  /** Of the first row, in steps. */
  readonly top: bigint;
  readonly rows: number;
}

export type FlowSums = Pick<Flow, "traded" | "bidNets" | "askNets">;

/** Without `levelsMax` all that rests is told. */
type Told = Pick<Book, "bids" | "asks"> & Partial<Pick<Book, "levelsMax">>;

export function buildGrid(book: Told | null, grid: Grid, flow: FlowSums | null): Ladder {
  const centre = Math.floor((grid.rows - 1) / 2);
  if (book === null || grid.step === 0n) return { ...nothing(grid.rows, book === null ? "no book" : "no orders"), centre };
  const bids = sidesOf(book.bids, (units) => floorSteps(units, grid.step));
  const asks = sidesOf(book.asks, (units) => ceilSteps(units, grid.step));
  const flows = flow === null ? null : flowsOf(flow, grid);
  const [bestBid, bestAsk] = [book.bids[0], book.asks[0]].map((level) => (level === undefined ? null : unitsOf(level.price)));
  const isOverlapping = bestBid != null && bestAsk != null && bestBid >= bestAsk;
  const [bidRow, askRow] = [
    bestBid == null ? null : floorSteps(bestBid, grid.step),
    bestAsk == null ? null : ceilSteps(bestAsk, grid.step),
  ];
  const known = knownOf(book, grid.step);
  const rows = Array.from({ length: grid.rows }, (_, index): LadderRow => {
    const at = grid.top - BigInt(index);
    const [bid, ask] = [bids.get(at) ?? null, asks.get(at) ?? null];
    const beyond = sidesWhere(known.bid !== null && at < known.bid.row, known.ask !== null && at > known.ask.row);
    const isBetween = bidRow !== null && askRow !== null && !isOverlapping && at > bidRow && at < askRow;
    return {
      kind: bid === null && ask === null ? "tick" : "level",
      price: formatDecimal(at * grid.step, DECIMALS_MIN),
      bid,
      ask,
      best: (bid !== null && at === bidRow) || (ask !== null && at === askRow),
      overlap: isOverlapping && bidRow !== null && askRow !== null && at <= bidRow && at >= askRow,
      inside: isBetween,
      flow: flowKnown(flows?.get(at) ?? null, beyond),
      cut: sidesWhere(known.bid?.isCut === true && at === known.bid.row, known.ask?.isCut === true && at === known.ask.row),
      beyond,
    };
  });
  return { rows, centre, ...measures(rows) };
}

/** The lowest and the highest price known. */
export function rangeOf(book: Pick<Book, "bids" | "asks">): readonly [bigint | null, bigint | null] {
  const ends = [book.bids[0], book.bids.at(-1), book.asks[0], book.asks.at(-1)];
  const units = ends.flatMap((level) => (level === undefined ? [] : [unitsOf(level.price)]));
  if (units.length === 0) return [null, null];
  return [units.reduce((a, b) => (b < a ? b : a)), units.reduce((a, b) => (b > a ? b : a))];
}

interface LastRow {
  readonly row: bigint;
  /** It has prices behind the last level. */
  readonly isCut: boolean;
}

/** The last row of each side of which something is known; null where the side was told to its end. */
function knownOf({ bids, asks, levelsMax = Infinity }: Told, step: bigint): { readonly bid: LastRow | null; readonly ask: LastRow | null } {
  const last = (levels: readonly Level[], rowOf: (units: bigint) => bigint): LastRow | null => {
    const level = levels.at(-1);
    if (level === undefined || levels.length < levelsMax) return null;
    const units = unitsOf(level.price);
    const row = rowOf(units);
    return { row, isCut: row * step !== units };
  };
  return { bid: last(bids, (units) => floorSteps(units, step)), ask: last(asks, (units) => ceilSteps(units, step)) };
}

function sidesWhere(bid: boolean, ask: boolean): Sides {
  return `${bid ? "B" : ""}${ask ? "A" : ""}`;
}

/** What was pulled and stacked is told by the levels, what was traded by the trades. */
function flowKnown(flow: RowFlow | null, beyond: Sides): RowFlow | null {
  if (flow === null || beyond === "") return flow;
  return { ...flow, bidNet: beyond.includes("B") ? 0 : flow.bidNet, askNet: beyond.includes("A") ? 0 : flow.askNet };
}

/** Levels by row; those of one row are merged as they come, best first. */
function sidesOf(levels: readonly Level[], rowOf: (units: bigint) => bigint): Map<bigint, RowSide> {
  const sides = new Map<bigint, RowSide>();
  for (const level of levels) {
    const row = rowOf(unitsOf(level.price));
    const side = sides.get(row);
    sides.set(row, side === undefined ? sideOf(level) : merge(side, level));
  }
  return sides;
}

function merge(side: RowSide, level: Level): RowSide {
  return { size: side.size + level.size, count: side.count + level.count, levels: [...side.levels, level] };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function flowsOf(flow: FlowSums, { step, top, rows }: Grid): Map<bigint, RowFlow> {
  const flows = new Map<bigint, Mutable<RowFlow>>();
  const bottom = top - BigInt(rows);
  const at = (row: bigint): Mutable<RowFlow> | null => {
    if (row > top || row <= bottom) return null;
    let found = flows.get(row);
    if (found === undefined) {
      found = { bought: 0, sold: 0, unknown: 0, bidNet: 0, askNet: 0 };
      flows.set(row, found);
    }
    return found;
  };
  for (const [units, { bought, sold, unknown }] of flow.traded) {
    const [low, high] = [floorSteps(units, step), ceilSteps(units, step)];
    if (bought > 0) add(at(high), "bought", bought);
    if (sold > 0) add(at(low), "sold", sold);
    if (unknown > 0) add(at(low), "unknown", unknown);
  }
  for (const [units, net] of flow.bidNets) add(at(floorSteps(units, step)), "bidNet", net);
  for (const [units, net] of flow.askNets) add(at(ceilSteps(units, step)), "askNet", net);
  return flows;
}

function add(flow: Mutable<RowFlow> | null, name: keyof RowFlow, size: number): void {
  if (flow !== null) flow[name] += size;
}

/** What bars and columns are scaled to: the rows in view. */
export function measures(rows: readonly LadderRow[]): Omit<Ladder, "rows" | "centre"> {
  const counts: number[] = [];
  let [sizeMax, orderSizeMax, tradedMax, decimals] = [0, 0, 0, 0];
  for (const row of rows) {
    if (row.kind !== "level" && row.kind !== "tick") continue;
    decimals = Math.max(decimals, decimalsOf(row.price));
    tradedMax = Math.max(tradedMax, row.flow?.bought ?? 0, row.flow?.sold ?? 0);
    for (const side of [row.bid, row.ask]) {
      if (side === null) continue;
      counts.push(side.count);
      sizeMax = Math.max(sizeMax, side.size);
      for (const { queue } of side.levels) for (const [, size] of queue) orderSizeMax = Math.max(orderSizeMax, size);
    }
  }
  const ordersTypical = counts.sort((a, b) => a - b)[Math.floor(counts.length / 2)] ?? 0;
  return { sizeMax, orderSizeMax, ordersTypical, tradedMax, decimals };
}

function nothing(count: number, text: string): Omit<Ladder, "centre"> {
  const middle = Math.floor((count - 1) / 2);
  const rows = Array.from({ length: count }, (_, index): LadderRow =>
    index === middle ? { kind: "spread", label: "", text } : { kind: "empty" },
  );
  return { rows, ...measures(rows) };
}
