/** The buttons and fields of the replay bar: built once, told what to say. */

import { make, setText, setTitle } from "../dom";
import { TYPED_TIME_HELP } from "../replay-time";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 50, 100, 1000] as const;

export interface ControlHandlers {
  readonly toggle: () => void;
  readonly step: (events: number) => void;
  readonly skip: (seconds: number) => void;
  readonly live: () => void;
  readonly speed: (speed: number) => void;
  readonly go: (typed: string) => void;
}

export class ReplayControls {
  readonly element = make("div", "replay-controls");
  readonly #play: HTMLButtonElement;
  readonly #live: HTMLButtonElement;
  readonly #speed = make("select");
  readonly #field = make("input", "replay-field");
  readonly #inputs: readonly (HTMLButtonElement | HTMLSelectElement | HTMLInputElement)[];

  constructor(handlers: ControlHandlers) {
    const step = (name: string, text: string, title: string, act: () => void): HTMLButtonElement =>
      button(`replay-${name}`, text, title, act);
    const back = [
      step("second-back", "−1 s", "One second back (Shift+←)", () => {
        handlers.skip(-1);
      }),
      step("event-back", "−1 event", "One event of this book back (←)", () => {
        handlers.step(-1);
      }),
    ];
    this.#play = button("replay-play", "Pause", "", handlers.toggle);
    this.#play.classList.add("replay-play");
    this.#play.addEventListener("keydown", (event) => {
      // Held on a button, Enter presses it again and again.
      if (event.repeat && event.key === "Enter") event.preventDefault();
    });
    const on = [
      step("event-on", "+1 event", "One event of this book on (→)", () => {
        handlers.step(1);
      }),
      step("second-on", "+1 s", "One second on (Shift+→)", () => {
        handlers.skip(1);
      }),
    ];
    this.#live = button("replay-live", "Live", "Back to the book as it is now (L)", handlers.live);
    this.#buildSpeed(handlers);
    const go = this.#buildField(handlers);
    this.#inputs = [...back, this.#play, ...on, this.#speed, this.#field, go];
    const steps = make("div", "replay-steps");
    steps.role = "group";
    steps.ariaLabel = "Play and step";
    steps.append(...back, this.#play, ...on);
    const places = make("div", "replay-places");
    places.append(this.#speed, this.#field, go, this.#live);
    this.element.append(steps, places);
  }

  /** `play`: what the button does next; `isPast`: there is a live to go back to. */
  write(enabled: boolean, isPast: boolean, play: "Play" | "Pause", speed: number): void {
    for (const input of this.#inputs) if (input.disabled === enabled) input.disabled = !enabled;
    if (this.#live.disabled === isPast) this.#live.disabled = !isPast;
    setText(this.#play, play);
    const title = isPast ? `${play} (Space)` : "Stand still at this moment (Space)";
    setTitle(this.#play, title);
    this.#writeSpeed(speed);
  }

  /** The field keeps what was typed, so that a mistake can be put right. */
  markField(wrong: boolean): void {
    this.#field.ariaInvalid = String(wrong);
    if (!wrong) this.#field.value = "";
  }

  #buildSpeed(handlers: ControlHandlers): void {
    this.#speed.dataset["testid"] = "replay-speed";
    this.#speed.ariaLabel = "Speed";
    this.#speed.title = "How many times as fast as it was recorded";
    for (const speed of SPEEDS) this.#speed.append(option(speed));
    this.#speed.addEventListener("change", () => {
      handlers.speed(Number(this.#speed.value));
    });
  }

  #buildField(handlers: ControlHandlers): HTMLButtonElement {
    const field = this.#field;
    field.type = "text";
    field.placeholder = "Go to a time (UTC)";
    field.ariaLabel = "Go to a recorded time";
    field.title = TYPED_TIME_HELP;
    field.autocomplete = "off";
    field.spellcheck = false;
    field.dataset["testid"] = "replay-field";
    const go = (): void => {
      if (field.value.trim() !== "") handlers.go(field.value);
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") go();
      if (event.key === "Escape") field.blur();
    });
    return button("replay-go", "Go", "Go to the time that was typed (Enter)", go);
  }

  /** A speed that was asked for elsewhere may be none of the choices. */
  #writeSpeed(speed: number): void {
    const value = String(speed);
    if (this.#speed.value === value) return;
    this.#speed.querySelector("option[data-other]")?.remove();
    if (!SPEEDS.some((each) => each === speed)) {
      const other = option(speed);
      other.dataset["other"] = "yes";
      this.#speed.append(other);
    }
    this.#speed.value = value;
  }
}

function option(speed: number): HTMLOptionElement {
  const made = make("option", "", `${speed}×`);
  made.value = String(speed);
  return made;
}

function button(testId: string, text: string, title: string, act: () => void): HTMLButtonElement {
  const made = make("button", "small", text);
  made.type = "button";
  made.title = title;
  made.dataset["testid"] = testId;
  made.addEventListener("click", act);
  return made;
}
