/** The API key that the reader typed: for this tab, until it is closed, and nowhere else. */

const STORAGE_KEY = "l3book.key";

let typed: string | null = null;

export function loadKey(): string | null {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? typed;
  } catch {
    // A browser that keeps nothing still uses what was typed until the page is closed.
    return typed;
  }
}

export function keepKey(key: string): void {
  typed = key;
  try {
    sessionStorage.setItem(STORAGE_KEY, key);
  } catch (error) {
    console.warn("the key is not kept when the page is loaded again:", error);
  }
}
