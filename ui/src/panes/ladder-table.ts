/** The ladder's table: rows made once per depth, cells rewritten only where they changed. */

import { decimalsOf } from "../decimal";
import { make, setData, setText } from "../dom";
import { formatInteger, plural } from "../format";
import type { Level } from "../feed/wire";
import type { Ladder, LadderRow } from "./ladder-model";

/** Sizes of a queue that are spelled out for those who cannot see the blocks. */
const QUEUE_WORDS_MAX = 8;

/** Columns from left to right; the blocks of a queue are painted over its cell. */
export const COLUMNS = ["bid-queue", "bid-orders", "bid-size", "price", "ask-size", "ask-orders", "ask-queue"] as const;
export type Column = (typeof COLUMNS)[number];

interface RowCells {
  readonly row: HTMLTableRowElement;
  readonly cells: Readonly<Record<Column, HTMLTableCellElement>>;
  readonly price: HTMLElement;
  readonly bidTag: HTMLElement;
  readonly askTag: HTMLElement;
  readonly bidQueue: HTMLElement;
  readonly askQueue: HTMLElement;
}

export class LadderTable {
  readonly #body: HTMLTableSectionElement;
  #rows: RowCells[] = [];

  constructor(body: HTMLTableSectionElement) {
    this.#body = body;
  }

  get rowCount(): number {
    return this.#rows.length;
  }

  row(index: number): HTMLTableRowElement | undefined {
    return this.#rows[index]?.row;
  }

  write(ladder: Ladder): void {
    if (ladder.rows.length !== this.#rows.length) this.#build(ladder.rows.length);
    ladder.rows.forEach((row, index) => {
      const cells = this.#rows[index];
      if (cells !== undefined) writeRow(cells, row, ladder.decimals);
    });
  }

  #build(count: number): void {
    this.#rows = Array.from({ length: count }, buildRow);
    this.#body.replaceChildren(...this.#rows.map(({ row }) => row));
  }
}

function buildRow(): RowCells {
  const row = make("tr");
  row.dataset["testid"] = "ladder-row";
  const cell = (column: Column): HTMLTableCellElement => {
    const element = make(column === "price" ? "th" : "td", column);
    element.dataset["col"] = column;
    row.append(element);
    return element;
  };
  const cells: Record<Column, HTMLTableCellElement> = {
    "bid-queue": cell("bid-queue"),
    "bid-orders": cell("bid-orders"),
    "bid-size": cell("bid-size"),
    price: cell("price"),
    "ask-size": cell("ask-size"),
    "ask-orders": cell("ask-orders"),
    "ask-queue": cell("ask-queue"),
  };
  cells.price.scope = "row";
  const bidTag = make("span", "tag tag-bid");
  const price = make("span", "price-text");
  const askTag = make("span", "tag tag-ask");
  cells.price.append(bidTag, price, askTag);
  const bidQueue = make("span", "visually-hidden");
  const askQueue = make("span", "visually-hidden");
  cells["bid-queue"].append(bidQueue);
  cells["ask-queue"].append(askQueue);
  return { row, cells, price, bidTag, askTag, bidQueue, askQueue };
}

function writeRow({ row, cells, price, bidTag, askTag, bidQueue, askQueue }: RowCells, data: LadderRow, decimals: number): void {
  const level = data.kind === "level" ? data : null;
  setData(row, "kind", data.kind);
  setData(row, "side", level === null ? "" : `${level.bid === null ? "" : "B"}${level.ask === null ? "" : "A"}`);
  setData(row, "best", level?.best === true ? "yes" : "");
  setData(row, "overlap", level?.overlap === true ? "yes" : "");
  setText(price, level?.price ?? (data.kind === "spread" ? data.text : ""));
  // Shorter prices are moved left by the digits they lack, so that decimal points stand in one line.
  const lacking = level === null ? 0 : missingCharacters(level.price, decimals);
  const padding = lacking === 0 ? "" : `${lacking}ch`;
  if (price.style.paddingRight !== padding) price.style.paddingRight = padding;
  setText(bidTag, level?.bid ? "B" : data.kind === "spread" ? data.label : "");
  setText(askTag, level?.ask ? "A" : "");
  writeSide(cells["bid-size"], cells["bid-orders"], bidQueue, level?.bid ?? null);
  writeSide(cells["ask-size"], cells["ask-orders"], askQueue, level?.ask ?? null);
}

function writeSide(size: HTMLElement, orders: HTMLElement, queue: HTMLElement, level: Level | null): void {
  setText(size, level === null ? "" : formatInteger(level.size));
  setText(orders, level === null ? "" : formatInteger(level.count));
  setText(queue, level === null ? "" : queueWords(level));
}

function queueWords(level: Level): string {
  if (level.queue.length === 0) return "";
  const sizes = level.queue.slice(0, QUEUE_WORDS_MAX).map(([, size]) => size);
  const more = level.count - sizes.length;
  return `sizes in priority order ${sizes.join(", ")}${more > 0 ? ` and ${plural(more, "more order")}` : ""}`;
}

/** Digits, and the point, that a price is shorter by than one with `decimals` decimals. */
function missingCharacters(price: string, decimals: number): number {
  const own = decimalsOf(price);
  return own === decimals ? 0 : decimals - own + (own === 0 ? 1 : 0);
}
