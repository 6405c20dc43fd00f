/** What the reader chose: kept in the browser, applied to the root element. */

export const LADDER_DEPTHS = [5, 10, 20, 50] as const;
export const LADDER_DEPTH_DEFAULT = 10;

export type Theme = "dark" | "light";
export type SideColours = "blue-orange" | "green-red";

export interface Preferences {
  theme: Theme;
  sides: SideColours;
  depth: number;
}

const STORAGE_KEY = "l3book.preferences";

export function loadPreferences(): Preferences {
  const stored = read();
  return {
    theme: stored["theme"] === "light" ? "light" : "dark",
    sides: stored["sides"] === "green-red" ? "green-red" : "blue-orange",
    depth: LADDER_DEPTHS.find((depth) => depth === stored["depth"]) ?? LADDER_DEPTH_DEFAULT,
  };
}

export function savePreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(preferences));
  } catch (error) {
    // A browser that keeps nothing still shows what was chosen until the page is closed.
    console.warn("the choice is not kept for the next visit:", error);
  }
}

export function applyPreferences({ theme, sides }: Preferences): void {
  document.documentElement.dataset["theme"] = theme;
  document.documentElement.dataset["sides"] = sides;
}

function read(): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as unknown;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch (error) {
    console.warn("the kept choices cannot be read; starting from the defaults:", error);
    return {};
  }
}
