import { describe, expect, it } from "vitest";
import { PRICE_CHARACTERS_MIN, priceCharacters, PriceWidth } from "../src/panes/price-width";
import { book, level } from "./fixtures";

describe("the room for prices", () => {
  it("is that of the widest whole part and the most decimals, as the points stand in one line", () => {
    expect(priceCharacters(book())).toBe(5);
    expect(priceCharacters({ bids: [level("143.1171875")], asks: [level("144")] })).toBe(11);
    expect(priceCharacters({ bids: [level("99.1171875")], asks: [level("1000.5")] })).toBe(12);
    expect(priceCharacters({ bids: [level("-5.25")], asks: [level("7")] })).toBe(5);
    expect(priceCharacters({ bids: [level("5000")], asks: [] })).toBe(4);
    expect(priceCharacters({ bids: [], asks: [] })).toBe(0);
  });

  it("grows with a book, does not shrink, and begins anew with another instrument", () => {
    const width = new PriceWidth();
    expect(width.take(book())).toBe(PRICE_CHARACTERS_MIN);
    expect(width.take(book())).toBeNull();
    expect(width.take(book({ bids: [level("143.1171875")] }))).toBe(11);
    expect(width.take(book({ bids: [level("143.125")] }))).toBeNull();
    expect(width.decimals).toBe(7);
    expect(width.take(book({ instrumentId: 2 }))).toBe(PRICE_CHARACTERS_MIN);
    expect(width.decimals).toBe(2);
  });
});
