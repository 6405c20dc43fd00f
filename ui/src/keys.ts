/** The keys of the page: who wants one binds it, and the help lists them all. */

export interface Binding {
  /** As people read it: "Shift ←". */
  readonly label: string;
  readonly description: string;
}

const NAMES: Readonly<Record<string, string>> = {
  " ": "Space",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  "-": "−",
};

/** A key that is held goes on walking; what is switched by one is switched once. */
const WALKING = /^(?:Arrow|[+=−-]$)/;

interface KeyPress {
  readonly key: string;
  readonly shiftKey: boolean;
}

/** "Shift+ArrowLeft", "c", "?": of a character, Shift is how it is typed and says nothing more. */
export function chordOf({ key, shiftKey }: KeyPress): string {
  return key.length === 1 ? key.toLowerCase() : `${shiftKey ? "Shift+" : ""}${key}`;
}

export function labelOf(chord: string): string {
  const key = chord.replace("Shift+", "");
  const label = NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
  return chord.startsWith("Shift+") ? `Shift ${label}` : label;
}

export class Keys {
  readonly #acts = new Map<string, (event: KeyboardEvent) => void>();
  readonly bindings: Binding[] = [];

  bind(key: string, description: string, act: (event: KeyboardEvent) => void): void {
    const chord = key.length === 1 ? key.toLowerCase() : key;
    if (this.#acts.has(chord)) throw new Error(`the key ${labelOf(chord)} is taken`);
    this.#acts.set(chord, act);
    this.bindings.push({ label: labelOf(chord), description });
  }

  listen(): void {
    // What was pressed with a pointer is done with: Space is the page's again, and not that button's once more.
    document.addEventListener("click", ({ target, detail }) => {
      const button = target instanceof Element ? target.closest("button") : null;
      const isIts = button !== null && button === document.activeElement && button.closest("dialog") === null;
      if (detail > 0 && isIts) button.blur();
    });
    document.addEventListener("keydown", (event) => {
      const isForAnother = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey;
      if (isForAnother || !isFree(event) || document.querySelector("dialog[open]") !== null) return;
      const act = this.#acts.get(chordOf(event));
      if (act === undefined) return;
      event.preventDefault();
      if (!event.repeat || WALKING.test(event.key)) act(event);
    });
  }
}

/** A field takes what is typed into it, and what has the focus is pressed with Space and Enter. */
function isFree(event: KeyboardEvent): boolean {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return true;
  if (target.matches("input, select, textarea, [contenteditable]")) return false;
  return !(event.key === " " || event.key === "Enter") || !target.matches("button, a[href], summary, [role=option]");
}
