/** Buttons and their keys: theme, side colours, and the help that lists all keys. */

import { byTestId, make } from "./dom";
import type { Keys } from "./keys";
import type { Actions } from "./pane";
import { SYSTEM_LIGHT, themeOf } from "./preferences";
import type { State } from "./state";

export class Controls {
  readonly #state: State;
  readonly #actions: Actions;
  readonly #keys: Keys;
  readonly #help = byTestId("help", HTMLDialogElement);
  readonly #helpKeys = byTestId("help-keys", HTMLElement);
  readonly #theme = byTestId("theme-button", HTMLButtonElement);
  readonly #sides = byTestId("sides-button", HTMLButtonElement);
  readonly #systemLight = matchMedia(SYSTEM_LIGHT);

  constructor(state: State, actions: Actions, keys: Keys) {
    this.#state = state;
    this.#actions = actions;
    this.#keys = keys;
    this.#theme.addEventListener("click", () => {
      this.#toggleTheme();
    });
    this.#sides.addEventListener("click", () => {
      actions.prefer({ sides: state.preferences.sides === "blue-orange" ? "green-red" : "blue-orange" });
    });
    byTestId("help-button", HTMLButtonElement).addEventListener("click", () => {
      this.#showHelp();
    });
    byTestId("help-close", HTMLButtonElement).addEventListener("click", () => {
      this.#help.close();
    });
    this.#systemLight.addEventListener("change", () => {
      actions.prefer({});
    });
    actions.bind("t", "dark or light theme", () => {
      this.#toggleTheme();
    });
    actions.bind("?", "this help", () => {
      this.#showHelp();
    });
    this.write();
  }

  /** Shows what is chosen. */
  write(): void {
    const { preferences } = this.#state;
    const shown = themeOf(preferences, this.#systemLight.matches);
    this.#theme.ariaLabel = shown === "dark" ? "Switch to the light theme" : "Switch to the dark theme";
    this.#sides.ariaLabel = preferences.sides === "blue-orange" ? "Show bids green and asks red" : "Show bids blue and asks orange";
  }

  #toggleTheme(): void {
    const shown = themeOf(this.#state.preferences, this.#systemLight.matches);
    this.#actions.prefer({ theme: shown === "dark" ? "light" : "dark" });
  }

  #showHelp(): void {
    const rows = this.#keys.bindings.map(({ label, description }) => {
      const [row, term] = [make("div"), make("dt")];
      term.append(make("kbd", "", label));
      row.append(term, make("dd", "", description));
      return row;
    });
    this.#helpKeys.replaceChildren(...rows);
    this.#help.showModal();
  }
}
