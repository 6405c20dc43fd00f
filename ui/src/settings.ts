/** The dialog of what the reader can choose; it stays in this browser. */

import { byTestId, make } from "./dom";
import type { Actions } from "./pane";
import { GROUPINGS, LADDER_DEPTHS, preferencesFrom, SIDE_COLOURS, TEXT_INTERVALS_MS, type Preferences } from "./preferences";
import type { State } from "./state";

interface Setting<Name extends keyof Preferences> {
  readonly name: Name;
  readonly label: string;
  readonly choices: readonly (readonly [value: Preferences[Name], words: string])[];
}

function setting<Name extends keyof Preferences>(
  name: Name,
  label: string,
  choices: readonly (readonly [Preferences[Name], string])[],
): Setting<Name> {
  return { name, label, choices };
}

const SETTINGS = [
  setting("theme", "Theme", [[null, "as the system"], ["dark", "dark"], ["light", "light"]]),
  setting("sides", "Colours of the sides", SIDE_COLOURS.map((sides) => [sides, sides === "blue-orange" ? "blue and orange" : "green and red"])),
  setting("depth", "Levels of each side", LADDER_DEPTHS.map((depth) => [depth, String(depth)])),
  setting("grouping", "Price of one row", GROUPINGS.map((ticks) => [ticks, ticks === 1 ? "1 tick" : `${ticks} ticks`])),
  setting("textIntervalMs", "Numbers change", TEXT_INTERVALS_MS.map((ms) => [ms, ms === 1_000 ? "once a second" : `${1_000 / ms} times a second`])),
];

export class Settings {
  readonly #dialog = byTestId("settings", HTMLDialogElement);
  readonly #state: State;
  readonly #actions: Actions;
  readonly #fields: readonly HTMLSelectElement[];

  constructor(state: State, actions: Actions) {
    this.#state = state;
    this.#actions = actions;
    const title = make("h2", "", "Settings");
    title.id = "settings-title";
    const list = make("div", "settings");
    this.#fields = SETTINGS.map((each) => this.#field(each));
    list.append(...this.#fields.flatMap((field) => (field.parentElement === null ? [] : [field.parentElement])));
    const note = make("p", "", "Kept in this browser, and nowhere else.");
    const reset = this.#button("As at first", "settings-reset", () => {
      actions.prefer(preferencesFrom({}));
      this.#write();
    });
    const close = this.#button("Close", "settings-close", () => {
      this.#dialog.close();
    });
    const buttons = make("div", "buttons");
    buttons.append(reset, close);
    this.#dialog.append(title, list, note, buttons);
  }

  open(): void {
    this.#write();
    this.#dialog.showModal();
  }

  #write(): void {
    SETTINGS.forEach(({ name, choices }, index) => {
      const field = this.#fields[index];
      const chosen = choices.findIndex(([value]) => value === this.#state.preferences[name]);
      if (field !== undefined) field.selectedIndex = chosen;
    });
  }

  #field({ name, label, choices }: (typeof SETTINGS)[number]): HTMLSelectElement {
    const [row, field] = [make("label", "", label), make("select")];
    field.dataset["testid"] = `setting-${name}`;
    field.append(...choices.map(([, words]) => make("option", "", words)));
    field.addEventListener("change", () => {
      const chosen = choices[field.selectedIndex];
      if (chosen !== undefined) this.#actions.prefer({ [name]: chosen[0] });
    });
    row.append(field);
    return field;
  }

  #button(label: string, testId: string, act: () => void): HTMLButtonElement {
    const button = make("button", "", label);
    button.type = "button";
    button.dataset["testid"] = testId;
    button.addEventListener("click", act);
    return button;
  }
}
