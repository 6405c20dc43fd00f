/** The instrument picker: a text field with a list that narrows as one types. */

import { byTestId, make, setHidden } from "../dom";
import { formatCompact } from "../format";
import { keyOf, type Instrument } from "../feed/wire";
import { nameOf } from "../state";

/** More than this is no list to read; typing narrows it. */
const OPTIONS_SHOWN_MAX = 100;

export class Picker {
  readonly #input = byTestId("picker", HTMLInputElement);
  readonly #list = byTestId("picker-list", HTMLUListElement);
  readonly #onPick: (key: string) => void;
  #instruments: readonly Instrument[] = [];
  #selected: string | null = null;
  #shown: readonly Instrument[] = [];
  #active = 0;
  #open = false;

  constructor(onPick: (key: string) => void) {
    this.#onPick = onPick;
    this.#input.addEventListener("focus", () => {
      this.#input.select();
    });
    this.#input.addEventListener("click", () => {
      this.#show();
    });
    this.#input.addEventListener("input", () => {
      this.#active = 0;
      this.#show();
    });
    this.#input.addEventListener("blur", () => {
      this.#close();
    });
    this.#input.addEventListener("keydown", (event) => {
      this.#key(event);
    });
    // Before the field loses its focus, which closes the list.
    this.#list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const option = event.target instanceof Element ? event.target.closest("li") : null;
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
    const found = this.#instruments.find((instrument) => keyOf(instrument) === this.#selected);
    return found === undefined ? (this.#selected ?? "") : nameOf(found);
  }

  #show(): void {
    this.#open = true;
    this.#render();
  }

  #close(): void {
    this.#open = false;
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

  #render(): void {
    const wanted = this.#input.value === this.#selectedName() ? "" : this.#input.value.trim().toLowerCase();
    const matching = this.#instruments.filter((instrument) => matches(instrument, wanted));
    this.#shown = matching.slice(0, OPTIONS_SHOWN_MAX);
    this.#active = Math.max(0, Math.min(this.#active, this.#shown.length - 1));
    const options = this.#shown.map((instrument, index) => this.#option(instrument, index));
    const hidden = matching.length - this.#shown.length;
    if (hidden > 0) options.push(note(`${hidden} more: type to narrow`));
    if (matching.length === 0) options.push(note(this.#instruments.length === 0 ? "no instruments yet" : "none by that name"));
    this.#list.replaceChildren(...options);
    setHidden(this.#list, false);
    this.#input.setAttribute("aria-expanded", "true");
    if (this.#shown.length > 0) this.#input.setAttribute("aria-activedescendant", `instrument-${this.#active}`);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #option(instrument: Instrument, index: number): HTMLLIElement {
    const option = make("li");
    option.id = `instrument-${index}`;
    option.role = "option";
    option.dataset["key"] = keyOf(instrument);
    option.ariaSelected = String(index === this.#active);
    const orders = `${formatCompact(instrument.orders)} orders`;
    option.append(
      make("span", "option-name", nameOf(instrument)),
      make("span", "option-key", keyOf(instrument)),
      make("span", "option-state", instrument.state),
      make("span", "option-orders", orders),
    );
    return option;
  }

  #key(event: KeyboardEvent): void {
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      if (this.#open) this.#active = Math.max(0, Math.min(this.#shown.length - 1, this.#active + step));
      this.#show();
      document.getElementById(`instrument-${this.#active}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      const instrument = this.#shown[this.#active];
      if (this.#open && instrument !== undefined) this.#pick(keyOf(instrument));
    } else if (event.key === "Escape") {
      this.#close();
      this.#input.blur();
    }
  }
}

function matches(instrument: Instrument, wanted: string): boolean {
  return nameOf(instrument).toLowerCase().includes(wanted) || keyOf(instrument).includes(wanted);
}

function note(text: string): HTMLLIElement {
  const item = make("li", "option-note", text);
  item.role = "presentation";
  return item;
}
