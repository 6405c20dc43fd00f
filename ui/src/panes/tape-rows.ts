/** The rows of the tape: a fixed number of them, of which the oldest become the newest. */

import { formatInteger, formatTime, plural } from "../format";
import { make, setData, setHidden, setText, setTitle } from "../dom";
import type { Print } from "../tape-prints";

/** What a tall screen shows, and on others some more to scroll to: all of them may be written anew ten times a second. */
export const TAPE_ROWS_MAX = 60;

const SIDES = {
  B: { sign: "▲", word: "buy", title: "Bought: the aggressor's side is B" },
  A: { sign: "▼", word: "sell", title: "Sold: the aggressor's side is A" },
  N: { sign: "■", word: "none", title: "The venue does not tell the side" },
} as const;

interface Row {
  readonly element: HTMLTableRowElement;
  readonly time: HTMLElement;
  readonly price: HTMLElement;
  readonly size: HTMLElement;
  readonly side: HTMLElement;
  readonly order: HTMLButtonElement;
  said: string;
}

export class TapeRows {
  readonly #body: HTMLTableSectionElement;
  readonly #onOrder: (orderId: string) => void;
  /** Newest first, as in the document. */
  #rows: Row[] = [];
  #newestId = 0;

  constructor(body: HTMLTableSectionElement, onOrder: (orderId: string) => void) {
    this.#body = body;
    this.#onOrder = onOrder;
  }

  clear(): void {
    this.#rows = [];
    this.#newestId = 0;
    this.#body.replaceChildren();
  }

  /** `prints` oldest first. */
  write(prints: readonly Print[], largeFrom: number): void {
    const newest = prints.slice(-TAPE_ROWS_MAX).reverse();
    const added = newest.findIndex((print) => print.id <= this.#newestId);
    this.#rotate(added < 0 ? newest.length : added, newest.length);
    newest.forEach((print, index) => {
      const row = this.#rows[index];
      if (row !== undefined) this.#writeRow(row, print, largeFrom);
    });
    this.#newestId = newest[0]?.id ?? this.#newestId;
  }

  /** Brings `added` rows to the top, from below or new, so that the rows of what is still shown keep what they say. */
  #rotate(added: number, length: number): void {
    const spare = Math.max(0, Math.min(added, this.#rows.length + added - length));
    const moved = spare === 0 ? [] : this.#rows.splice(-spare);
    while (moved.length < added) moved.push(this.#make());
    this.#rows = [...moved, ...this.#rows];
    this.#body.prepend(...moved.map(({ element }) => element));
    for (const row of this.#rows.splice(length)) row.element.remove();
  }

  #writeRow(row: Row, print: Print, largeFrom: number): void {
    const { trade, size, trades, isLarge, isAfterGap } = print;
    const said = `${print.id}:${size}`;
    if (row.said === said) return;
    row.said = said;
    const side = SIDES[trade.side];
    const { short, exact } = formatTime(trade.tsRecv);
    setData(row.element, "side", trade.side);
    setData(row.element, "large", isLarge ? "yes" : "no");
    setData(row.element, "gap", isAfterGap ? "yes" : "no");
    setData(row.element, "print", String(print.id));
    setTitle(row.element, isAfterGap ? "Trades before this one were not received" : "");
    setText(row.time, short.split(" ")[1] ?? short);
    setTitle(row.time, `received ${exact} · matched ${formatTime(trade.tsEvent).exact}`);
    setText(row.price, trade.price ?? "–");
    setText(row.size, formatInteger(size));
    setTitle(row.size, `${plural(trades, "trade")}${trades > 1 ? " of one order" : ""}${isLarge ? `; large: from ${formatInteger(largeFrom)} on` : ""}`);
    const share = Number.isFinite(largeFrom) ? Math.min(1, size / (largeFrom * 1.5)) : 0;
    row.element.style.setProperty("--share", share.toFixed(3));
    setText(row.side, `${side.sign} ${side.word}`);
    setTitle(row.side, side.title);
    const orderId = /^0*$/.test(trade.orderId) ? "" : trade.orderId;
    setHidden(row.order, orderId === "");
    setText(row.order, orderId);
    setTitle(row.order, `Show order ${orderId}`);
  }

  #make(): Row {
    const element = make("tr");
    const cell = (name: string): HTMLTableCellElement => {
      const made = make("td", `tape-${name}`);
      element.append(made);
      return made;
    };
    const [time, price, size, side, last] = [cell("time"), cell("price"), cell("size"), cell("side"), cell("order")];
    setData(element, "testid", "tape-row");
    const order = make("button", "small");
    order.type = "button";
    order.addEventListener("click", () => {
      this.#onOrder(order.textContent);
    });
    last.append(order);
    return { element, time, price, size, side, order, said: "" };
  }
}
