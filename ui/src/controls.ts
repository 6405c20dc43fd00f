/** Buttons and keys: theme, side colours, depth, help, and the shortcuts. */

import { byTestId, make, setData } from "./dom";
import { applyPreferences, LADDER_DEPTHS, savePreferences, SYSTEM_LIGHT, themeOf, type Preferences } from "./preferences";

export interface ControlActions {
  readonly focusPicker: () => void;
  readonly centre: () => void;
  /** The colours of the page have changed. */
  readonly recoloured: () => void;
  readonly depthChosen: (depth: number) => void;
}

export class Controls {
  readonly #preferences: Preferences;
  readonly #actions: ControlActions;
  readonly #help = byTestId("help", HTMLDialogElement);
  readonly #depths = byTestId("depth-choice", HTMLElement);
  readonly #theme = byTestId("theme-button", HTMLButtonElement);
  readonly #sides = byTestId("sides-button", HTMLButtonElement);
  readonly #systemLight = matchMedia(SYSTEM_LIGHT);

  constructor(preferences: Preferences, actions: ControlActions) {
    this.#preferences = preferences;
    this.#actions = actions;
    this.#depths.append(...LADDER_DEPTHS.map((depth) => this.#depthButton(depth)));
    const onClick = (id: string, act: () => void): void => {
      byTestId(id, HTMLButtonElement).addEventListener("click", act);
    };
    onClick("theme-button", () => {
      this.#toggleTheme();
    });
    onClick("sides-button", () => {
      this.#preferences.sides = this.#preferences.sides === "blue-orange" ? "green-red" : "blue-orange";
      this.#apply();
    });
    onClick("centre-button", actions.centre);
    onClick("help-button", () => {
      this.#help.showModal();
    });
    onClick("help-close", () => {
      this.#help.close();
    });
    document.addEventListener("keydown", (event) => {
      this.#key(event);
    });
    this.#systemLight.addEventListener("change", () => {
      this.#apply();
    });
    this.#apply();
  }

  #apply(): void {
    applyPreferences(this.#preferences);
    savePreferences(this.#preferences);
    const shown = themeOf(this.#preferences, this.#systemLight.matches);
    this.#theme.ariaLabel = shown === "dark" ? "Switch to the light theme" : "Switch to the dark theme";
    this.#sides.ariaLabel =
      this.#preferences.sides === "blue-orange" ? "Show bids green and asks red" : "Show bids blue and asks orange";
    for (const button of this.#depths.querySelectorAll("button")) {
      button.ariaPressed = String(button.dataset["depth"] === String(this.#preferences.depth));
    }
    this.#actions.recoloured();
  }

  #toggleTheme(): void {
    const shown = themeOf(this.#preferences, this.#systemLight.matches);
    this.#preferences.theme = shown === "dark" ? "light" : "dark";
    this.#apply();
  }

  #depthButton(depth: number): HTMLButtonElement {
    const button = make("button", "", String(depth));
    button.type = "button";
    button.title = `${depth} levels of each side`;
    setData(button, "depth", String(depth));
    button.addEventListener("click", () => {
      this.#preferences.depth = depth;
      this.#apply();
      this.#actions.depthChosen(depth);
    });
    return button;
  }

  #key(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement;
    if (typing || event.ctrlKey || event.metaKey || event.altKey || this.#help.open) return;
    const keys: Readonly<Record<string, () => void>> = {
      "/": this.#actions.focusPicker,
      c: this.#actions.centre,
      t: () => {
        this.#toggleTheme();
      },
      "?": () => {
        this.#help.showModal();
      },
    };
    const act = keys[event.key.toLowerCase()];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }
}
