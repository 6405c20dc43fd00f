/** The room that a book's prices need, as characters, for the styles to size the price column and the best prices by. */

import { decimalsOf } from "../decimal";
import { keyOf, type Book } from "../feed/wire";

/** The widths of the price column and of the best prices until a book is known. */
export const PRICE_CHARACTERS_MIN = 6;
/** From here on a narrow page gives the spread a line of its own. */
export const LONG_PRICE_CHARACTERS = 8;

type Sides = Pick<Book, "bids" | "asks">;

export class PriceWidth {
  /** The most decimals of any price of the book so far. */
  decimals = 0;
  #instrument = "";
  #characters = 0;

  /** It grows, and begins anew with another instrument, so that columns stand still. */
  write(book: Book | null): void {
    const characters = book === null ? null : this.take(book);
    if (characters === null) return;
    document.body.style.setProperty("--price-characters", String(characters));
    document.body.dataset["prices"] = characters >= LONG_PRICE_CHARACTERS ? "long" : "short";
  }

  /** The new width, or null when it stays. */
  take(book: Book): number | null {
    const same = keyOf(book) === this.#instrument;
    this.decimals = Math.max(mostDecimals(book), same ? this.decimals : 0);
    const characters = Math.max(priceCharacters(book), same ? this.#characters : PRICE_CHARACTERS_MIN);
    if (same && characters === this.#characters) return null;
    this.#instrument = keyOf(book);
    this.#characters = characters;
    return characters;
  }
}

/** The characters of the widest price when all decimal points stand in one line. */
export function priceCharacters(book: Sides): number {
  const whole = Math.max(0, ...pricesOf(book).map((price) => price.split(".", 1)[0]?.length ?? 0));
  const decimals = mostDecimals(book);
  return whole + (decimals === 0 ? 0 : decimals + 1);
}

function mostDecimals(book: Sides): number {
  return Math.max(0, ...pricesOf(book).map(decimalsOf));
}

function pricesOf({ bids, asks }: Sides): string[] {
  return [...bids, ...asks].map(({ price }) => price);
}
