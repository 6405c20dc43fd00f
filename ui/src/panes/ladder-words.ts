/** What the ladder says of a block under the pointer, and of what was done at a price. */

import { FLOW_WINDOW_S, type Flow } from "../flow";
import { formatInteger, formatTime } from "../format";
import type { Block } from "./ladder-canvas";
import type { PriceRow } from "./ladder-rows";
import { flowWords } from "./queue-list";

export function blockTip({ order: [orderId, size, tsEvent], side, price, place }: Block): string[] {
  const time = formatTime(tsEvent).exact.split(" · ")[0] ?? "";
  return [
    `${side} ${price} · size ${formatInteger(size)}`,
    place === 0 ? "front of the queue" : `${formatInteger(place)} ahead in the queue`,
    `order ${orderId}`,
    time,
  ];
}

export function flowTip(row: PriceRow, { since }: Pick<Flow, "since">): string[] {
  const counted = since === null ? "" : `traded since ${formatTime(since).short}`;
  return [row.price, ...flowWords(row).split(" · "), counted, `stacked + and pulled − in ${FLOW_WINDOW_S} s`];
}
