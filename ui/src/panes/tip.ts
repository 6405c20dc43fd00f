/** The one small box beside the pointer, shared by the panes that paint on canvas. */

import { byTestId, make, setHidden } from "../dom";

const OFFSET_PX = 14;

export class Tip {
  readonly #element = byTestId("tip", HTMLElement);
  #owner: object | null = null;
  #said = "";

  show(owner: object, x: number, y: number, lines: readonly string[]): void {
    this.#owner = owner;
    const said = lines.join("\n");
    if (said !== this.#said) {
      this.#said = said;
      this.#element.replaceChildren(...lines.map((line) => make("div", "", line)));
    }
    setHidden(this.#element, false);
    const { offsetWidth, offsetHeight } = this.#element;
    const left = x + OFFSET_PX + offsetWidth > window.innerWidth ? x - OFFSET_PX - offsetWidth : x + OFFSET_PX;
    const top = y + OFFSET_PX + offsetHeight > window.innerHeight ? y - OFFSET_PX - offsetHeight : y + OFFSET_PX;
    this.#element.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
  }

  /** Only who shows it may hide it. */
  hide(owner: object): void {
    if (this.#owner !== owner) return;
    this.#owner = null;
    setHidden(this.#element, true);
  }
}
