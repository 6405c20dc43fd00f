/**
 * The rows of the tape: a bounded number of them, of which the oldest become the newest. While prints come faster than
 * anybody reads there are no more rows than are in view; the others come back when it is calm.
 */

import { decimalsOf, withDecimals } from "../decimal";
import { formatInteger, formatTime, plural } from "../format";
import { make, setData, setHidden, setText, setTitle } from "../dom";
import type { Print } from "../tape-prints";

/** What a tall screen shows, and on others some more to scroll to. */
export const TAPE_ROWS_MAX = 60;
/** More new prints than this in one text are a rush; calm is what has had none for so long. */
const RUSH_PRINTS = 8;
const CALM_MS = 800;

const SIDES = {
  B: { sign: "▲", word: "buy", title: "Bought: the aggressor's side is B" },
  A: { sign: "▼", word: "sell", title: "Sold: the aggressor's side is A" },
  N: { sign: "■", word: "none", title: "The venue does not tell the side" },
} as const;

const GAP_TITLE = "Trades before this one were not received";

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
  /** The most of any price told. */
  #decimals = 0;
  #rushedAtMs = -Infinity;

  constructor(body: HTMLTableSectionElement, onOrder: (orderId: string) => void) {
    this.#body = body;
    this.#onOrder = onOrder;
  }

  clear(): void {
    this.#rows = [];
    this.#newestId = this.#decimals = 0;
    this.#body.replaceChildren();
  }

  /** `prints` oldest first; `inView`: so many rows are seen. A tape that is held is whole. */
  write(prints: readonly Print[], largeFrom: number, inView: number, isHeld: boolean, nowMs: number): void {
    const added = this.#added(prints);
    if (added > RUSH_PRINTS) this.#rushedAtMs = nowMs;
    const isWhole = isHeld || nowMs - this.#rushedAtMs > CALM_MS;
    const newest = prints.slice(isWhole ? -TAPE_ROWS_MAX : -Math.min(inView, TAPE_ROWS_MAX)).reverse();
    // Where most rows say something new anyway, moving them costs more than it saves.
    this.#fit(added > newest.length / 2 ? 0 : added, newest.length);
    const decimals = newest.reduce((most, { trade }) => Math.max(most, decimalsOf(trade.price ?? "")), this.#decimals);
    if (decimals !== this.#decimals) for (const row of this.#rows) row.said = "";
    this.#decimals = decimals;
    newest.forEach((print, index) => {
      const row = this.#rows[index];
      if (row !== undefined) this.#writeRow(row, print, largeFrom);
    });
    this.#newestId = newest[0]?.id ?? this.#newestId;
  }

  /** How many prints are newer than what the rows say; no more than there can be rows. */
  #added(prints: readonly Print[]): number {
    let added = 0;
    while (added < TAPE_ROWS_MAX && (prints.at(-1 - added)?.id ?? 0) > this.#newestId) added += 1;
    return added;
  }

  /** Brings `added` rows to the top, from below or new, so that the rows of what is still shown keep what they say. */
  #fit(added: number, length: number): void {
    for (const row of this.#rows.splice(length)) row.element.remove();
    const spare = Math.max(0, Math.min(added, this.#rows.length + added - length));
    const moved = spare === 0 ? [] : this.#rows.splice(-spare);
    while (moved.length < added) moved.push(this.#make());
    this.#rows = [...moved, ...this.#rows];
    if (moved.length > 0) this.#body.prepend(...moved.map(({ element }) => element));
    while (this.#rows.length < length) {
      const row = this.#make();
      this.#rows.push(row);
      this.#body.append(row.element);
    }
  }

  #writeRow(row: Row, print: Print, largeFrom: number): void {
    const { trade, size, trades, isLarge, isAfterGap, isRecorded } = print;
    const said = `${print.id}:${size}`;
    if (row.said === said) return;
    row.said = said;
    const side = SIDES[trade.side];
    const { short, exact } = formatTime(trade.tsRecv);
    setData(row.element, "side", trade.side);
    setData(row.element, "large", isLarge ? "yes" : "no");
    setData(row.element, "gap", isAfterGap ? "yes" : "no");
    setData(row.element, "print", String(print.id));
    setData(row.element, "recorded", isRecorded ? "yes" : "no");
    setTitle(row.element, isAfterGap ? GAP_TITLE : "");
    setText(row.time, short.split(" ")[1] ?? short);
    setTitle(row.time, `received ${exact} · matched ${formatTime(trade.tsEvent).exact}${isRecorded ? " · recorded" : ""}`);
    setText(row.price, trade.price === null ? "–" : withDecimals(trade.price, this.#decimals));
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
