/** The orders of one row of the ladder as a list of buttons: for the keyboard, and for all that blocks cannot say. */

import { make, setHidden, setText } from "../dom";
import { FLOW_WINDOW_S } from "../flow";
import { formatInteger, formatTime, plural, withMinus } from "../format";
import { BEYOND_WORDS } from "./ladder-table";
import { ordersOf, type PriceRow, type QueuedOrder, type RowSide, type whereIs } from "./ladder-rows";
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

  /** `where`: as ladder-rows.ts has it. */
  write(row: PriceRow, selected: string | null, where: ReturnType<typeof whereIs>): void {
    this.#root.ariaLabel = `Orders at ${withMinus(row.price)}`;
    setText(this.#heading, headline(row, where));
    setText(this.#flow, flowWords(row));
    const shown = write(this.#bids, row.bid, selected) + write(this.#asks, row.ask, selected);
    setText(this.#more, moreWords(row, shown, where === "in view"));
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

/** What stands below the orders, or in their place where there are none. */
export function moreWords({ bid, ask, beyond }: Pick<PriceRow, "bid" | "ask" | "beyond">, shown: number, isInView: boolean): string {
  const count = (bid?.count ?? 0) + (ask?.count ?? 0);
  if (count === 0) return beyond === "" ? "No orders at this price." : "";
  if (shown === 0) return isInView ? "The orders are on their way." : "Orders out of view are not followed: bring the price into view.";
  return count > shown ? `and ${plural(count - shown, "more order")}` : "";
}

export function headline({ price, bid, ask, cut, beyond }: Omit<PriceRow, "flow">, where: ReturnType<typeof whereIs>): string {
  const words = (side: RowSide | null, letter: "B" | "A"): string[] => {
    if (side === null) return beyond.includes(letter) ? [`${letter} ${BEYOND_WORDS}`] : [];
    return [`${letter} ${cut.includes(letter) ? "at least " : ""}${formatInteger(side.size)} in ${plural(side.count, "order")}`];
  };
  const sides = [...words(bid, "B"), ...words(ask, "A")];
  const away = where === "above" ? " ▲ above the rows" : where === "below" ? " ▼ below the rows" : "";
  return [`${withMinus(price)}${away}`, ...(sides.length === 0 ? [] : [sides.join(", ")])].join(" · ");
}

/** Everything that was done at this price, also what the columns have no room for. */
export function flowWords({ flow }: Pick<PriceRow, "flow">): string {
  if (flow === null) return "";
  const words = [`sold ${formatInteger(flow.sold)}`, `bought ${formatInteger(flow.bought)}`];
  if (flow.unknown > 0) words.push(`traded by unknown ${formatInteger(flow.unknown)}`);
  if (flow.bidNet !== 0) words.push(`bids ${signed(flow.bidNet)} in ${FLOW_WINDOW_S} s`);
  if (flow.askNet !== 0) words.push(`asks ${signed(flow.askNet)} in ${FLOW_WINDOW_S} s`);
  return words.join(" · ");
}

function signed(net: number): string {
  return `${net > 0 ? "+" : "−"}${formatInteger(Math.abs(net))}`;
}

function orderWords({ order: [orderId, size, tsEvent], price }: QueuedOrder, place: number, isGrouped: boolean): string {
  const at = isGrouped ? ` at ${withMinus(price)}` : "";
  return `${place + 1}. size ${formatInteger(size)}${at} · order ${orderId} · ${formatTime(tsEvent).short}`;
}
