/** Buttons and their keys: theme, side colours, settings, a link to share, and the help that lists all keys. */

import { byTestId, make, setData, setText } from "./dom";
import type { Keys } from "./keys";
import type { Actions } from "./pane";
import { SYSTEM_LIGHT, themeOf } from "./preferences";
import type { Settings } from "./settings";
import type { State } from "./state";

/** How long a button says that it has done something. */
const TOLD_MS = 2_000;

export class Controls {
  readonly #state: State;
  readonly #actions: Actions;
  readonly #keys: Keys;
  readonly #help = byTestId("help", HTMLDialogElement);
  readonly #helpKeys = byTestId("help-keys", HTMLElement);
  readonly #theme = byTestId("theme-button", HTMLButtonElement);
  readonly #sides = byTestId("sides-button", HTMLButtonElement);
  #settings: Settings | null = null;
  readonly #copy = byTestId("copy-link", HTMLButtonElement);
  readonly #told = byTestId("told", HTMLElement);
  readonly #systemLight = matchMedia(SYSTEM_LIGHT);

  /** `link` is the address of what is on view. */
  constructor(state: State, actions: Actions, keys: Keys, link: () => string) {
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
    byTestId("settings-button", HTMLButtonElement).addEventListener("click", () => void this.#showSettings());
    this.#copy.addEventListener("click", () => void this.#copyLink(link()));
    byTestId("help-close", HTMLButtonElement).addEventListener("click", () => {
      this.#help.close();
    });
    this.#systemLight.addEventListener("change", () => {
      actions.prefer({});
    });
    actions.bind("t", "dark or light theme", () => {
      this.#toggleTheme();
    });
    actions.bind(",", "settings", () => void this.#showSettings());
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

  async #showSettings(): Promise<void> {
    try {
      const { Settings } = await import("./settings");
      this.#settings ??= new Settings(this.#state, this.#actions);
      this.#settings.open();
      this.#state.onPart("settings", true);
    } catch (error) {
      console.error(error);
      this.#state.onPart("settings", false);
    }
  }

  async #copyLink(address: string): Promise<void> {
    let told = "Link copied";
    try {
      await navigator.clipboard.writeText(address);
    } catch {
      // Browsers give the clipboard to safe addresses only; from the address bar it can be copied by hand.
      history.replaceState(null, "", address);
      told = "Link in the address bar";
    }
    setText(this.#told, told);
    setData(this.#copy, "told", told);
    setTimeout(() => {
      delete this.#copy.dataset["told"];
      setText(this.#told, "");
    }, TOLD_MS);
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
    // The focus is on the button at its end, which a low window has scrolled to.
    this.#help.scrollTop = 0;
  }
}
