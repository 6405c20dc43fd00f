/** The ladder's table: rows made once for a height, cells rewritten only where they changed. */

import { withDecimals } from "../decimal";
import { make, setData, setText, setTitle } from "../dom";
import { formatCompact, formatInteger, plural, withMinus } from "../format";
import { ordersOf, type Ladder, type LadderRow, type PriceRow, type RowSide, type Sides } from "./ladder-rows";

/** Sizes of a queue that are spelled out for those who cannot see the blocks. */
const QUEUE_WORDS_MAX = 8;
/** From here on a flow is told in three digits, so that its column leaves the queues their room; the row's list has all. */
const EXACT_FLOW_MAX = 10_000;

export const BEYOND_WORDS = "not known: beyond the levels that the page follows";
export const CUT_WORDS = "at least: the page follows only some of these prices";

/** Columns from left to right; bars, and the blocks of a queue, are painted behind their cells. */
export const COLUMNS = [
  "bid-queue",
  "bid-net",
  "bid-size",
  "bid-orders",
  "sold",
  "price",
  "bought",
  "ask-orders",
  "ask-size",
  "ask-net",
  "ask-queue",
] as const;
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
  #focusRow = 0;

  constructor(body: HTMLTableSectionElement) {
    this.#body = body;
  }

  get rowCount(): number {
    return this.#rows.length;
  }

  row(index: number): HTMLTableRowElement | undefined {
    return this.#rows[index]?.row;
  }

  /** The index of the row that an element is in; -1 where it is in none. */
  indexOf(element: EventTarget | null): number {
    return element instanceof Element ? this.#rows.findIndex(({ row }) => row.contains(element)) : -1;
  }

  /** One row is reached by Tab, the others from there by arrows. */
  makeReachable(index: number): void {
    const old = this.#rows[this.#focusRow]?.row;
    const now = this.#rows[index]?.row;
    if (now === undefined || now.tabIndex === 0) return;
    if (old !== undefined) old.tabIndex = -1;
    now.tabIndex = 0;
    this.#focusRow = index;
  }

  focus(index: number): void {
    this.makeReachable(index);
    this.#rows[index]?.row.focus();
  }

  /** `listed`: the price whose orders are listed elsewhere. */
  write(ladder: Ladder, isSelected: (row: PriceRow) => boolean, listed: string | null): void {
    const resized = ladder.rows.length !== this.#rows.length;
    // With another number of rows each price is in another one, and the focus is of a price.
    const held = resized ? this.#focusedPrice() : null;
    if (resized) this.#build(ladder.rows.length, ladder.centre);
    ladder.rows.forEach((row, index) => {
      const cells = this.#rows[index];
      if (cells === undefined) return;
      writeRow(cells, row, ladder.decimals);
      setData(cells.row, "selected", isPrice(row) && isSelected(row) ? "yes" : "");
      setData(cells.row, "listed", isPrice(row) && row.price === listed ? "yes" : "");
    });
    const at = held === null ? -1 : ladder.rows.findIndex((row) => isPrice(row) && withDecimals(row.price, ladder.decimals) === held);
    if (at >= 0) this.focus(at);
  }

  #focusedPrice(): string | null {
    return this.#rows.find(({ row }) => row === document.activeElement)?.price.textContent ?? null;
  }

  #build(count: number, centre: number): void {
    // Those that are there stay: one of them may have the focus.
    for (const { row } of this.#rows.splice(count)) row.remove();
    while (this.#rows.length < count) {
      const cells = buildRow();
      this.#rows.push(cells);
      this.#body.append(cells.row);
    }
    if (this.#rows.every(({ row }) => row.tabIndex !== 0)) this.makeReachable(centre);
  }
}

export function isPrice(row: LadderRow | undefined): row is PriceRow {
  return row?.kind === "level" || row?.kind === "tick";
}

function buildRow(): RowCells {
  const row = make("tr");
  row.role = "row";
  row.dataset["testid"] = "ladder-row";
  row.tabIndex = -1;
  const cell = (column: Column): HTMLTableCellElement => {
    const element = make(column === "price" ? "th" : "td", column);
    element.role = column === "price" ? "rowheader" : "cell";
    element.dataset["col"] = column;
    row.append(element);
    return element;
  };
  const cells = Object.fromEntries(COLUMNS.map((column) => [column, cell(column)])) as Record<Column, HTMLTableCellElement>;
  cells.price.scope = "row";
  const bidTag = make("span", "tag tag-bid");
  const price = make("span", "price-text");
  const askTag = make("span", "tag tag-ask");
  cells.price.append(bidTag, price, askTag);
  const [bidQueue, askQueue] = [queueImage(), queueImage()];
  cells["bid-queue"].append(bidQueue);
  cells["ask-queue"].append(askQueue);
  return { row, cells, price, bidTag, askTag, bidQueue, askQueue };
}

/** What the blocks are to who hears the page. In an attribute: as text, of which nobody sees anything, it would be laid out. */
function queueImage(): HTMLElement {
  const image = make("span");
  image.role = "img";
  image.ariaHidden = "true";
  return image;
}

function writeRow({ row, cells, price, bidTag, askTag, bidQueue, askQueue }: RowCells, data: LadderRow, decimals: number): void {
  const at = isPrice(data) ? data : null;
  const { bid = null, ask = null, flow = null } = at ?? {};
  setData(row, "kind", data.kind);
  setData(row, "side", `${bid === null ? "" : "B"}${ask === null ? "" : "A"}`);
  setData(row, "best", at?.best === true ? "yes" : "");
  setData(row, "overlap", at?.overlap === true ? "yes" : "");
  setData(row, "inside", at?.inside === true ? "yes" : "");
  const { cut = "", beyond = "" } = at ?? {};
  setData(row, "cut", cut);
  setData(row, "beyond", beyond);
  setTitle(row, knownWords(cut, beyond));
  setText(price, at === null ? (data.kind === "spread" ? withMinus(data.text) : "") : withDecimals(at.price, decimals));
  setText(bidTag, bid !== null ? "B" : data.kind === "spread" ? data.label : "");
  setText(askTag, ask !== null ? "A" : "");
  writeSide(cells["bid-size"], cells["bid-orders"], bidQueue, bid, beyond.includes("B"));
  writeSide(cells["ask-size"], cells["ask-orders"], askQueue, ask, beyond.includes("A"));
  setText(cells.sold, flowText(flow?.sold));
  setText(cells.bought, flowText(flow?.bought));
  writeNet(cells["bid-net"], flow?.bidNet ?? 0);
  writeNet(cells["ask-net"], flow?.askNet ?? 0);
}

/** Of a row beyond or cut; empty where all is known. */
function knownWords(cut: Sides, beyond: Sides): string {
  const names = (sides: Sides): string => (sides === "B" ? "Bids" : sides === "A" ? "Asks" : "Both sides");
  return beyond !== "" ? `${names(beyond)} ${BEYOND_WORDS}` : cut !== "" ? `${names(cut)} ${CUT_WORDS}` : "";
}

function writeSide(size: HTMLElement, orders: HTMLElement, queue: HTMLElement, side: RowSide | null, isBeyond: boolean): void {
  setText(size, side === null ? "" : formatInteger(side.size));
  setText(orders, side === null ? "" : formatInteger(side.count));
  const words = side !== null ? queueWords(side) : isBeyond ? BEYOND_WORDS : "";
  if ((queue.ariaLabel ?? "") === words) return;
  queue.ariaLabel = words;
  queue.ariaHidden = String(words === "");
}

function writeNet(cell: HTMLElement, net: number): void {
  setText(cell, netText(net));
  setData(cell, "sign", net > 0 ? "stacked" : net < 0 ? "pulled" : "");
}

/** Empty where nothing was done. */
export function flowText(size = 0): string {
  if (size === 0) return "";
  return Math.abs(size) < EXACT_FLOW_MAX ? formatInteger(size) : formatCompact(size);
}

export function netText(net: number): string {
  return net > 0 ? `+${flowText(net)}` : net < 0 ? `−${flowText(-net)}` : "";
}

function queueWords(side: RowSide): string {
  const sizes: number[] = [];
  for (const { order } of side.count > 0 ? ordersOf(side, QUEUE_WORDS_MAX) : []) sizes.push(order[1]);
  if (sizes.length === 0) return "";
  const more = side.count - sizes.length;
  return `sizes in priority order ${sizes.join(", ")}${more > 0 ? ` and ${plural(more, "more order")}` : ""}`;
}
