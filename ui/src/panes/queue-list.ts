/** The orders of one row of the ladder as a list of buttons: for the keyboard, and for all that blocks cannot say. */

import { make, setHidden, setText } from "../dom";
import { FLOW_WINDOW_S } from "../flow";
import { formatInteger, formatTime, plural } from "../format";
import { BEYOND_WORDS, netText } from "./ladder-table";
import { ordersOf, type PriceRow, type QueuedOrder, type RowSide } from "./ladder-rows";
import { OrderButtons } from "./order-buttons";

const BUTTONS_MAX = 100;

export interface QueueListActions {
  select(orderId: string): void;
  /** The reader is done with it. */
  closed(): void;
}

export class QueueList {
  readonly #root: HTMLElement;
  readonly #actions: QueueListActions;
  readonly #heading = make("h3");
  readonly #flow = make("p", "queue-flow");
  readonly #bids: OrderButtons;
  readonly #asks: OrderButtons;
  readonly #more = make("p", "queue-more");
  #isAskedFor = false;

  constructor(root: HTMLElement, actions: QueueListActions) {
    this.#root = root;
    this.#actions = actions;
    const close = make("button", "small", "Close");
    close.type = "button";
    close.dataset["testid"] = "queue-close";
    close.addEventListener("click", () => {
      this.close();
    });
    const select = (orderId: string): void => {
      actions.select(orderId);
    };
    this.#bids = new OrderButtons("Bids, the first to be traded first", select, () => close);
    this.#asks = new OrderButtons("Asks, the first to be traded first", select, () => close);
    const head = make("div", "queue-head");
    head.append(this.#heading, close);
    root.role = "group";
    root.append(head, this.#flow, this.#bids.element, this.#asks.element, this.#more);
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  get isOpen(): boolean {
    return !this.#root.hidden;
  }

  /** `focus`: the list was asked for with the keyboard. */
  open(focus: boolean): void {
    this.#isAskedFor = focus;
    setHidden(this.#root, false);
  }

  close(): void {
    if (!this.isOpen) return;
    this.#actions.closed();
    setHidden(this.#root, true);
  }

  write(row: PriceRow, selected: string | null): void {
    this.#root.ariaLabel = `Orders at ${row.price}`;
    setText(this.#heading, headline(row));
    setText(this.#flow, flowWords(row));
    const shown = write(this.#bids, row.bid, selected) + write(this.#asks, row.ask, selected);
    const count = (row.bid?.count ?? 0) + (row.ask?.count ?? 0);
    setText(this.#more, count > shown ? `and ${plural(count - shown, "more order")}` : "");
    if (!this.#isAskedFor) return;
    this.#isAskedFor = false;
    (this.#root.querySelector<HTMLElement>("li button") ?? this.#root.querySelector("button"))?.focus();
  }
}

function write(buttons: OrderButtons, side: RowSide | null, selected: string | null): number {
  setHidden(buttons.element, side === null);
  const orders = side === null ? [] : ordersOf(side, BUTTONS_MAX);
  const isGrouped = side !== null && side.levels.length > 1;
  buttons.write(
    orders.map((queued, place) => ({ orderId: queued.order[0], text: orderWords(queued, place, isGrouped) })),
    selected,
  );
  return orders.length;
}

function headline({ price, bid, ask, cut, beyond }: PriceRow): string {
  const words = (side: RowSide | null, letter: "B" | "A"): string[] => {
    if (side === null) return beyond.includes(letter) ? [`${letter} ${BEYOND_WORDS}`] : [];
    return [`${letter} ${cut.includes(letter) ? "at least " : ""}${formatInteger(side.size)} in ${plural(side.count, "order")}`];
  };
  const sides = [...words(bid, "B"), ...words(ask, "A")];
  return `${price} · ${sides.length === 0 ? "nothing rests here" : sides.join(", ")}`;
}

/** Everything that was done at this price, also what the columns have no room for. */
export function flowWords({ flow }: Pick<PriceRow, "flow">): string {
  if (flow === null) return "";
  const words = [`sold ${formatInteger(flow.sold)}`, `bought ${formatInteger(flow.bought)}`];
  if (flow.unknown > 0) words.push(`traded by unknown ${formatInteger(flow.unknown)}`);
  if (flow.bidNet !== 0) words.push(`bids ${netText(flow.bidNet)} in ${FLOW_WINDOW_S} s`);
  if (flow.askNet !== 0) words.push(`asks ${netText(flow.askNet)} in ${FLOW_WINDOW_S} s`);
  return words.join(" · ");
}

function orderWords({ order: [orderId, size, tsEvent], price }: QueuedOrder, place: number, isGrouped: boolean): string {
  const at = isGrouped ? ` at ${price}` : "";
  return `${place + 1}. size ${formatInteger(size)}${at} · order ${orderId} · ${formatTime(tsEvent).short}`;
}
