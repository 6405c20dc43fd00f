/** What the reader chose: kept in the browser, applied to the root element. */

import { TEXT_INTERVAL_MS } from "./loop";

export const LADDER_DEPTHS = [5, 10, 20, 50] as const;
export const LADDER_DEPTH_DEFAULT = 10;
/** Static: every tick has its row, and prices stay where they are. Compact: only levels with orders. */
export const LADDERS = ["static", "compact"] as const;
export type LadderKind = (typeof LADDERS)[number];
/** How many ticks make one row of the ladder. */
export const GROUPINGS = [1, 2, 5, 10, 20, 50, 100, 200, 500] as const;
/** How often text may change; slower reads more calmly. */
export const TEXT_INTERVALS_MS = [TEXT_INTERVAL_MS, 250, 1_000] as const;

const THEMES = ["dark", "light"] as const;
export type Theme = (typeof THEMES)[number];
export const SIDE_COLOURS = ["blue-orange", "green-red"] as const;
export type SideColours = (typeof SIDE_COLOURS)[number];

export interface Preferences {
  /** Null until the reader chooses: the page then follows the system. */
  theme: Theme | null;
  sides: SideColours;
  ladder: LadderKind;
  /** Levels of each side in the compact ladder. */
  depth: number;
  /** Ticks in a row of the static ladder. */
  grouping: number;
  textIntervalMs: number;
}

const STORAGE_KEY = "l3book.preferences";

export function loadPreferences(): Preferences {
  return preferencesFrom(read());
}

/** What was kept, with the default for whatever was not, or no longer makes sense. */
export function preferencesFrom(stored: Readonly<Record<string, unknown>>): Preferences {
  const choice = <T>(name: keyof Preferences, choices: readonly T[], otherwise: T): T =>
    choices.find((each) => each === stored[name]) ?? otherwise;
  return {
    theme: choice<Theme | null>("theme", THEMES, null),
    sides: choice("sides", SIDE_COLOURS, "blue-orange"),
    ladder: choice("ladder", LADDERS, "static"),
    depth: choice("depth", LADDER_DEPTHS, LADDER_DEPTH_DEFAULT),
    grouping: choice("grouping", GROUPINGS, 1),
    textIntervalMs: choice("textIntervalMs", TEXT_INTERVALS_MS, TEXT_INTERVAL_MS),
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

/** The theme on view: the reader's choice, or else the system's. */
export function themeOf({ theme }: Pick<Preferences, "theme">, systemIsLight: boolean): Theme {
  return theme ?? (systemIsLight ? "light" : "dark");
}

/** What the system asks for, now and whenever it changes. */
export const SYSTEM_LIGHT = "(prefers-color-scheme: light)";

export function applyPreferences(preferences: Preferences): void {
  const { dataset } = document.documentElement;
  dataset["theme"] = themeOf(preferences, matchMedia(SYSTEM_LIGHT).matches);
  dataset["sides"] = preferences.sides;
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
