/**
 * Which columns the ladder has room for, and how wide they are: as wide as their heading or the widest number seen, and the
 * queues get what is left. Where that is too little, what was pulled and stacked goes first, then what was traded, then the
 * queues: all of it is also in the list of a row, which Enter opens.
 */

import type { Ladder } from "./ladder-rows";
import { flowText, isPrice, netText } from "./ladder-table";
import { formatInteger } from "../format";

export const COLUMN_SETS = ["all", "no-net", "no-flow", "no-queue", "bare"] as const;
export type ColumnSet = (typeof COLUMN_SETS)[number];

const QUEUE_WIDTH_MIN_REM = 3.5;
/** A queue of this width shows more than a dozen orders; only what is left is for what was pulled and stacked. */
const QUEUE_WIDTH_BEFORE_NET_REM = 6;
const PADDING_REM = 0.55;
const HEADING_PADDING_REM = 0.35;
/** The letters of the sides stand beside the price. */
const PRICE_PADDING_REM = 1.8;
/** A bold digit beside a plain one. */
const BOLD = 1.1;
/** How much wider than a digit a sign is, in digits. */
const SIGN_EXTRA = 0.4;

/** Columns of the same width; the queues have what is left. */
export const KINDS = ["price", "size", "orders", "flow", "net"] as const;
export type Kind = (typeof KINDS)[number];

/** Of the widest text of each kind. */
export type Characters = Readonly<Record<Kind, number>>;

/** px. */
export interface Widths extends Readonly<Record<Kind, number>> {
  readonly set: ColumnSet;
}

export const CHARACTERS_MIN: Characters = { price: 6, size: 3, orders: 2, flow: 4, net: 3 };

/** What the text of the page measures, px. */
export interface Measures {
  readonly rem: number;
  /** The width of a digit of the rows. */
  readonly ch: number;
  /** The widest heading of each kind. */
  readonly headings: Readonly<Record<Kind, number>>;
}

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

export function fitColumns(characters: Characters, room: number, { ch, rem, headings }: Measures): Widths {
  const text = (name: "size" | "orders" | "flow" | "net", extra = 0): number =>
    Math.ceil(Math.max((characters[name] + extra) * ch + PADDING_REM * rem, headings[name] + HEADING_PADDING_REM * rem));
  const price = Math.ceil(Math.max(characters.price * ch * BOLD, headings.price) + PRICE_PADDING_REM * rem);
  const [size, orders, flow, net] = [text("size"), text("orders"), text("flow"), text("net", SIGN_EXTRA)];
  const bare = price + 2 * (size + orders);
  const queues = 2 * QUEUE_WIDTH_MIN_REM * rem;
  const needed: Record<ColumnSet, number> = {
    all: bare + 2 * (flow + net + QUEUE_WIDTH_BEFORE_NET_REM * rem),
    "no-net": bare + 2 * flow + queues,
    "no-flow": bare + queues,
    "no-queue": bare + 2 * flow,
    bare,
  };
  const set = COLUMN_SETS.find((each) => needed[each] <= room) ?? "bare";
  return { set, price, size, orders, flow, net };
}
