/** What the ladder says of a block under the pointer, and of what was done at a price. */

import { FLOW_WINDOW_S, type Flow } from "../flow";
import { formatInteger, formatTime, withMinus } from "../format";
import type { Block } from "./ladder-canvas";
import type { ColumnSet } from "./ladder-columns";
import type { PriceRow } from "./ladder-rows";
import { flowWords } from "./queue-list";

/** The columns that have no room, as their headings have them; empty where all are there. */
const LEFT_OUT: Readonly<Record<ColumnSet, string>> = {
  all: "",
  "no-net": "no ±",
  "no-flow": "no ±, sold, bought",
  "no-queue": "no ±, queues",
  bare: "no ±, queues, sold, bought",
};

/** What is said of the columns left out, and of the way to what they would tell, in few words and in more. */
export function leftOut(set: ColumnSet): { readonly what: string; readonly how: string; readonly title: string } {
  const what = LEFT_OUT[set];
  if (what === "") return { what, how: "", title: "" };
  return { what, how: ": open a row for them", title: `${what}: there is no room. The list of a row has them: click the row, or press Enter.` };
}

export function blockTip({ order: [orderId, size, tsEvent], side, price, place }: Block): string[] {
  const time = formatTime(tsEvent).exact.split(" · ")[0] ?? "";
  return [
    `${side} ${withMinus(price)} · size ${formatInteger(size)}`,
    place === 0 ? "front of the queue" : `${formatInteger(place)} ahead in the queue`,
    `order ${orderId}`,
    time,
  ];
}

export function flowTip(row: PriceRow, { since }: Pick<Flow, "since">): string[] {
  const counted = since === null ? "" : `traded since ${formatTime(since).short}`;
  return [withMinus(row.price), ...flowWords(row).split(" · "), counted, `stacked + and pulled − in ${FLOW_WINDOW_S} s`];
}
