/** What one row of the ladder says; static and compact ladders are both made of these. */

import { unitsOf } from "../decimal";
import type { Level, QueueEntry } from "../feed/wire";

/** One side of a row: a level, or several where prices are grouped, the first to be traded first. */
export interface RowSide {
  readonly size: number;
  readonly count: number;
  readonly levels: readonly Level[];
}

export interface RowFlow {
  readonly bought: number;
  readonly sold: number;
  readonly unknown: number;
  /** Stacked where positive, pulled where negative. */
  readonly bidNet: number;
  readonly askNet: number;
}

export interface PriceRow {
  /** `tick`: a price without orders. */
  readonly kind: "level" | "tick";
  readonly price: string;
  readonly bid: RowSide | null;
  readonly ask: RowSide | null;
  /** The best of its side. */
  readonly best: boolean;
  /** Between the best ask and the best bid of a crossed or locked book. */
  readonly overlap: boolean;
  /** Between the best bid and the best ask. */
  readonly inside: boolean;
  readonly flow: RowFlow | null;
  /** Sides of which this row holds only a part: the page follows no further level. */
  readonly cut: Sides;
  /** Sides of which nothing is known here, which is not that nothing rests. */
  readonly beyond: Sides;
}

export type Sides = "" | "B" | "A" | "BA";

export type LadderRow =
  | PriceRow
  /** Of the compact ladder: the middle of a book that is not crossed; the label is empty where there is no spread to name. */
  | { readonly kind: "spread"; readonly label: string; readonly text: string }
  /** Holds a place where there is nothing to say. */
  | { readonly kind: "empty" };

export interface Ladder {
  readonly rows: readonly LadderRow[];
  /** Index of the row that belongs in the middle of the view. */
  readonly centre: number;
  readonly sizeMax: number;
  readonly orderSizeMax: number;
  /** Of how many orders a queue in view is, the median. */
  readonly ordersTypical: number;
  readonly tradedMax: number;
  /** The most decimals of any price, for aligning the points. */
  readonly decimals: number;
}

/** An order in the queue of a row, and the price that it rests at. */
export interface QueuedOrder {
  readonly order: QueueEntry;
  readonly price: string;
}

export function sideOf(level: Level): RowSide {
  return { size: level.size, count: level.count, levels: [level] };
}

/** Whether each level carries its queue; of those far from the market it may be on its way. */
export function hasQueues({ rows }: Ladder): boolean {
  const isWhole = (side: RowSide | null): boolean => side?.levels.every(({ count, queue }) => queue.length === count) ?? true;
  return rows.every((row) => row.kind === "spread" || row.kind === "empty" || (isWhole(row.bid) && isWhole(row.ask)));
}

/** The first orders of a row in the order in which they are to be traded, as far as they are known. */
export function ordersOf(side: RowSide, countMax = Infinity): QueuedOrder[] {
  const orders: QueuedOrder[] = [];
  for (const { price, queue } of side.levels) {
    for (const order of queue) {
      if (orders.length >= countMax) return orders;
      orders.push({ order, price });
    }
  }
  return orders;
}

/** Where a price is that has no row: beyond the first or the last, or, of a compact ladder, between two. */
export function whereIs(price: string, { rows }: Ladder): "above" | "below" | "between" | "in view" {
  const units = unitsOf(price);
  const prices = rows.flatMap((row) => (row.kind === "level" || row.kind === "tick" ? [unitsOf(row.price)] : []));
  if (prices.includes(units)) return "in view";
  const [first, last] = [prices[0], prices.at(-1)];
  return first === undefined || last === undefined ? "between" : units > first ? "above" : units < last ? "below" : "between";
}

export function holds(row: PriceRow, orderId: string): boolean {
  return [row.bid, row.ask].some((side) => side?.levels.some(({ queue }) => queue.some((order) => order[0] === orderId)) === true);
}
