/** The status line: what the notices say, with what the reader can do about it. */

import { byTestId, make, setData, setText } from "../dom";
import type { Notice } from "../notices";

export interface StatusActions {
  retry(): void;
  choose(instrument: string): void;
  /** Back from the past. */
  live(): void;
  /** An API key was typed. */
  unlock(key: string): void;
}

export class StatusPane {
  readonly #element = byTestId("status", HTMLElement);
  readonly #told = byTestId("told", HTMLElement);
  readonly #actions: StatusActions;
  #spokenId = "";
  #drawn = "";
  #texts: HTMLElement[] = [];

  constructor(actions: StatusActions) {
    this.#actions = actions;
  }

  write(notices: readonly Notice[]): void {
    // Buttons stay the same elements while only the words change, so that a click is never lost to a countdown.
    const shape = JSON.stringify(notices.map(({ id, tone, action, choices }) => [id, tone, action, choices]));
    if (shape !== this.#drawn) {
      this.#drawn = shape;
      this.#texts = [];
      this.#element.replaceChildren(...notices.map((notice) => this.#build(notice)));
    }
    notices.forEach((notice, index) => {
      const text = this.#texts[index];
      if (text !== undefined) setText(text, notice.text);
    });
    setData(this.#element, "tone", notices[0]?.tone ?? "good");
    this.#speak(notices[0]);
  }

  /** What is wrong is told once, also where no book is there whose state could be spoken: not with every second of a countdown. */
  #speak(first: Notice | undefined): void {
    const id = first?.tone === "bad" ? first.id : "";
    if (id === this.#spokenId) return;
    this.#spokenId = id;
    setText(this.#told, id === "" ? "" : (first?.text ?? ""));
  }

  #build(notice: Notice): HTMLElement {
    const element = make("div", "notice");
    element.dataset["testid"] = `notice-${notice.id}`;
    element.dataset["tone"] = notice.tone;
    const text = make("span", "notice-text");
    this.#texts.push(text);
    element.append(text);
    if (notice.action === "retry") {
      const button = this.#button("Try now", () => {
        this.#actions.retry();
      });
      button.dataset["testid"] = "retry";
      element.append(button);
    }
    if (notice.action === "live") {
      const button = this.#button("Back to live", () => {
        this.#actions.live();
      });
      button.dataset["testid"] = "notice-live-button";
      element.append(button);
    }
    if (notice.action === "reload") {
      const button = this.#button("Reload the page", () => {
        location.reload();
      });
      button.dataset["testid"] = "reload";
      element.append(button);
    }
    if (notice.action === "key") element.append(...this.#keyField());
    for (const choice of notice.choices ?? []) {
      element.append(
        this.#button(choice.label, () => {
          this.#actions.choose(choice.instrument);
        }),
      );
    }
    return element;
  }

  /** No form: browsers would offer to keep what was typed, and the page's policy lets no form be sent. */
  #keyField(): HTMLElement[] {
    const input = make("input", "key-field");
    input.type = "password";
    input.autocomplete = "off";
    input.placeholder = "l3b_…";
    input.ariaLabel = "API key";
    input.dataset["testid"] = "key-field";
    // Nothing else can stand in a header: asked with it, a browser would send no request, and say that nobody answers.
    input.pattern = "[!-~]+";
    input.title = "An API key has no letters with accents, and no spaces";
    const unlock = (): void => {
      input.value = input.value.trim();
      if (input.value !== "" && input.reportValidity()) this.#actions.unlock(input.value);
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") unlock();
    });
    const button = this.#button("Use key", unlock);
    button.dataset["testid"] = "key-button";
    return [input, button];
  }

  #button(label: string, act: () => void): HTMLButtonElement {
    const button = make("button", "small", label);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
}
