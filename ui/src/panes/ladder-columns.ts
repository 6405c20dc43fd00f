/**
 * Which columns the ladder has room for, and how wide they are: as wide as the widest number seen, and the queues get what
 * is left. Where that is too little, what was pulled and stacked goes first, then the queues, then what was traded: those
 * are also in the list of a row, which Enter opens.
 */

import type { Ladder } from "./ladder-rows";
import { flowText, isPrice, netText } from "./ladder-table";
import { formatInteger } from "../format";

export const COLUMN_SETS = ["all", "no-net", "no-flow", "no-queue", "bare"] as const;
export type ColumnSet = (typeof COLUMN_SETS)[number];

const QUEUE_WIDTH_MIN_REM = 4;
const PADDING_REM = 0.55;
/** The letters of the sides stand beside the price. */
const PRICE_PADDING_REM = 2.1;
/** What was done is written smaller than what rests. */
const SMALL = 0.88;
/** A bold digit beside a plain one. */
const BOLD = 1.1;

/** Of the widest text of each kind. */
export interface Characters {
  readonly price: number;
  readonly size: number;
  readonly orders: number;
  readonly flow: number;
  readonly net: number;
}

export interface Widths {
  readonly set: ColumnSet;
  /** px. */
  readonly price: number;
  readonly size: number;
  readonly orders: number;
  readonly flow: number;
  readonly net: number;
}

export const CHARACTERS_MIN: Characters = { price: 6, size: 3, orders: 3, flow: 4, net: 3 };

/** As before, or wider where a number needs it: columns do not go back and forth. */
export function widen(known: Characters, ladder: Ladder): Characters {
  let { price, size, orders, flow, net } = known;
  for (const row of ladder.rows) {
    if (!isPrice(row)) continue;
    price = Math.max(price, row.price.length);
    // Of a group that is cut, a sign stands before them.
    const sign = row.cut === "" ? 0 : 1;
    for (const side of [row.bid, row.ask]) {
      if (side === null) continue;
      size = Math.max(size, formatInteger(side.size).length + sign);
      orders = Math.max(orders, formatInteger(side.count).length + sign);
    }
    if (row.flow === null) continue;
    flow = Math.max(flow, flowText(row.flow.sold).length, flowText(row.flow.bought).length);
    net = Math.max(net, netText(row.flow.bidNet).length, netText(row.flow.askNet).length);
  }
  return { price, size, orders, flow, net };
}

/** `ch`: the width of a digit, px. */
export function fitColumns(characters: Characters, room: number, ch: number, rem: number): Widths {
  const text = (count: number, scale = 1): number => Math.ceil(count * ch * scale + PADDING_REM * rem);
  const price = Math.ceil(characters.price * ch * BOLD + PRICE_PADDING_REM * rem);
  const [size, orders] = [text(characters.size), text(characters.orders)];
  // A sign is wider than a digit.
  const [flow, net] = [text(characters.flow, SMALL), text(characters.net + 1, SMALL)];
  const bare = price + 2 * (size + orders);
  const queues = 2 * QUEUE_WIDTH_MIN_REM * rem;
  const needed: Record<ColumnSet, number> = {
    all: bare + 2 * (flow + net) + queues,
    "no-net": bare + 2 * flow + queues,
    "no-flow": bare + queues,
    "no-queue": bare + 2 * flow,
    bare,
  };
  const set = COLUMN_SETS.find((each) => needed[each] <= room) ?? "bare";
  return { set, price, size, orders, flow, net };
}
