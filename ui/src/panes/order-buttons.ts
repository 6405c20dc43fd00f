/** A list of orders as buttons. Elements follow their orders, so that a click and the focus stay with the order they are on. */

import { make, setData, setText } from "../dom";

export interface OrderEntry {
  readonly orderId: string;
  readonly text: string;
}

export class OrderButtons {
  readonly element = make("ol", "orders");
  readonly #items = new Map<string, { readonly item: HTMLLIElement; readonly button: HTMLButtonElement }>();
  readonly #select: (orderId: string) => void;
  readonly #whereElse: () => HTMLElement | null;

  /** `whereElse`: what gets the focus when the last order has gone. */
  constructor(label: string, select: (orderId: string) => void, whereElse: () => HTMLElement | null) {
    this.element.ariaLabel = label;
    this.#select = select;
    this.#whereElse = whereElse;
    this.element.addEventListener("keydown", (event) => {
      this.#step(event);
    });
  }

  write(entries: readonly OrderEntry[], selected: string | null): void {
    this.#forget(new Set(entries.map(({ orderId }) => orderId)));
    entries.forEach(({ orderId, text }, place) => {
      const { item, button } = this.#itemOf(orderId);
      setText(button, text);
      const pressed = String(orderId === selected);
      if (button.ariaPressed !== pressed) button.ariaPressed = pressed;
      const standing = this.element.children.item(place);
      if (standing !== item) this.element.insertBefore(item, standing);
    });
  }

  #itemOf(orderId: string): { readonly item: HTMLLIElement; readonly button: HTMLButtonElement } {
    const known = this.#items.get(orderId);
    if (known !== undefined) return known;
    const [item, button] = [make("li"), make("button", "order-button")];
    button.type = "button";
    setData(button, "order", orderId);
    button.addEventListener("click", () => {
      this.#select(orderId);
    });
    item.append(button);
    const made = { item, button };
    this.#items.set(orderId, made);
    return made;
  }

  #forget(shown: ReadonlySet<string>): void {
    for (const [orderId, { item, button }] of this.#items) {
      if (shown.has(orderId)) continue;
      const next = item.nextElementSibling ?? item.previousElementSibling;
      const hadFocus = button === document.activeElement;
      item.remove();
      this.#items.delete(orderId);
      // Who stood on an order that has gone stands on the one that has come in its place.
      if (hadFocus) (next?.querySelector("button") ?? this.#whereElse())?.focus();
    }
  }

  #step(event: KeyboardEvent): void {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by === 0) return;
    const buttons = [...this.element.querySelectorAll("button")];
    const at = buttons.findIndex((button) => button === document.activeElement);
    buttons[Math.min(buttons.length - 1, Math.max(0, at + by))]?.focus();
    event.preventDefault();
  }
}
