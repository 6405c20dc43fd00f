/** The instrument picker: a text field with a list that narrows as one types. */

import { byTestId, make, setHidden, setText } from "../dom";
import { formatCompact, formatInteger } from "../format";
import { keyOf, type Instrument } from "../feed/wire";
import { isNamed } from "../instrument-name";
import { searchInstruments } from "../search";
import { nameOf } from "../state";

/** Of the highlighted option; the ends are found by bounds. */
const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };

export class Picker {
  readonly #input = byTestId("picker", HTMLInputElement);
  readonly #list = byTestId("picker-list", HTMLUListElement);
  /** They stay the same elements while the list changes, so that no click is lost to it. */
  readonly #options: HTMLLIElement[] = [];
  readonly #note = make("li", "option-note");
  readonly #onPick: (key: string) => void;
  #instruments: readonly Instrument[] = [];
  #selected: string | null = null;
  #shown: readonly Instrument[] = [];
  #active = 0;
  readonly #onOpen: (isOpen: boolean) => void;
  #open = false;
  /** The list is another one: its best is highlighted, whatever was before. */
  #isTyping = false;

  /** `onOpen` is told whether the list is on view. */
  constructor(onPick: (key: string) => void, onOpen: (isOpen: boolean) => void) {
    this.#onPick = onPick;
    this.#onOpen = onOpen;
    this.#input.addEventListener("focus", () => {
      this.#input.select();
    });
    this.#input.addEventListener("click", () => {
      this.#show();
    });
    this.#input.addEventListener("input", () => {
      this.#active = 0;
      this.#isTyping = true;
      this.#show();
    });
    this.#input.addEventListener("blur", () => {
      this.#close();
    });
    this.#input.addEventListener("keydown", (event) => {
      this.#key(event);
    });
    this.#note.role = "presentation";
    this.#list.append(this.#note);
    // The field would lose its focus, which closes the list.
    this.#list.addEventListener("mousedown", (event) => {
      event.preventDefault();
    });
    // A finger that scrolls the list goes down on one of them, too.
    this.#list.addEventListener("click", ({ target }) => {
      const option = target instanceof Element ? target.closest("li") : null;
      if (option?.dataset["key"] !== undefined) this.#pick(option.dataset["key"]);
    });
  }

  focus(): void {
    this.#input.focus();
    this.#show();
  }

  write(instruments: readonly Instrument[], selected: string | null): void {
    const changed = instruments !== this.#instruments || selected !== this.#selected;
    if (!changed) return;
    this.#instruments = instruments;
    this.#selected = selected;
    // The field is the reader's while the list is open.
    if (this.#open) this.#render();
    else this.#input.value = this.#selectedName();
  }

  #selectedName(): string {
    const found = this.#instruments.find((instrument) => isNamed(instrument, this.#selected));
    return found === undefined ? (this.#selected ?? "") : nameOf(found);
  }

  #show(): void {
    if (!this.#open) {
      // Opened on what is chosen.
      const { shown } = searchInstruments(this.#instruments, "");
      this.#shown = shown;
      this.#active = Math.max(0, shown.findIndex((instrument) => isNamed(instrument, this.#selected)));
    }
    this.#open = true;
    this.#onOpen(true);
    this.#render();
    this.#reveal();
  }

  #reveal(): void {
    document.getElementById(`instrument-${this.#active}`)?.scrollIntoView({ block: "nearest" });
  }

  #close(): void {
    this.#open = false;
    this.#onOpen(false);
    setHidden(this.#list, true);
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
    this.#input.value = this.#selectedName();
  }

  #pick(key: string): void {
    this.#onPick(key);
    this.#close();
    this.#input.blur();
  }

  /** What was typed; the name that stands there already asks for all of them. */
  get #typed(): string {
    return this.#input.value === this.#selectedName() ? "" : this.#input.value;
  }

  #render(): void {
    const { shown, hidden } = searchInstruments(this.#instruments, this.#typed);
    this.#follow(shown);
    this.#shown = shown;
    for (const option of this.#options.splice(shown.length)) option.remove();
    shown.forEach((instrument, index) => {
      this.#writeOption(instrument, index);
    });
    const more = hidden === 0 ? "" : `${formatInteger(hidden)} more of ${formatInteger(this.#instruments.length)}: type to narrow`;
    setText(this.#note, shown.length > 0 ? more : this.#instruments.length === 0 ? "no instruments yet" : "none by that name");
    setHidden(this.#note, this.#note.textContent === "");
    setHidden(this.#list, false);
    this.#input.setAttribute("aria-expanded", "true");
    if (shown.length > 0) this.#input.setAttribute("aria-activedescendant", `instrument-${this.#active}`);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  /** The highlight stays on its instrument when the list changes under it. */
  #follow(shown: readonly Instrument[]): void {
    const before = this.#shown[this.#active];
    const moved = before === undefined ? -1 : shown.findIndex((instrument) => keyOf(instrument) === keyOf(before));
    const wanted = this.#isTyping || moved < 0 ? this.#active : moved;
    this.#active = Math.max(0, Math.min(wanted, shown.length - 1));
    this.#isTyping = false;
  }

  #writeOption(instrument: Instrument, index: number): void {
    const option = (this.#options[index] ??= this.#build(index));
    option.dataset["key"] = keyOf(instrument);
    option.dataset["state"] = instrument.state;
    option.ariaSelected = String(index === this.#active);
    const texts = [nameOf(instrument), keyOf(instrument), instrument.state, `${formatCompact(instrument.orders)} orders`];
    [...option.children].forEach((part, at) => {
      setText(part, texts[at] ?? "");
    });
  }

  #build(index: number): HTMLLIElement {
    const option = make("li");
    option.id = `instrument-${index}`;
    option.role = "option";
    option.append(...["name", "key", "state", "orders"].map((part) => make("span", `option-${part}`)));
    this.#note.before(option);
    return option;
  }

  #key(event: KeyboardEvent): void {
    const step = STEPS[event.key];
    if (step !== undefined) {
      event.preventDefault();
      if (this.#open) this.#active = Math.max(0, Math.min(this.#shown.length - 1, this.#active + step));
      this.#show();
    } else if (event.key === "Enter") {
      const instrument = this.#shown[this.#active];
      if (this.#open && instrument !== undefined) this.#pick(keyOf(instrument));
    } else if (event.key === "Escape") {
      this.#close();
      this.#input.blur();
    }
  }
}
