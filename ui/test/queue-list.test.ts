import { describe, expect, it } from "vitest";
import { buildGrid } from "../src/panes/ladder-grid";
import { buildLadder } from "../src/panes/ladder-model";
import { whereIs, type PriceRow } from "../src/panes/ladder-rows";
import { isPrice } from "../src/panes/ladder-table";
import { flowWords, headline, moreWords } from "../src/panes/queue-list";
import { parseDecimal } from "../src/decimal";
import { level } from "./fixtures";

const BOOK = { bids: [level("64.77", 5), level("64.74", 2)], asks: [level("64.80", 3)] };
const step = parseDecimal("0.01");
const rowAt = (price: string): PriceRow => {
  const [row] = buildGrid(BOOK, { step, top: parseDecimal(price) / step, rows: 1 }, null).rows;
  if (!isPrice(row)) throw new Error("no row");
  return row;
};

describe("where a price is", () => {
  it("is in view, above or below the rows, or between those of a compact ladder", () => {
    const every = buildGrid(BOOK, { step, top: 6480n, rows: 5 }, null);
    expect(["64.81", "64.80", "64.76", "64.75"].map((price) => whereIs(price, every))).toEqual(["above", "in view", "in view", "below"]);
    const levels = buildLadder(BOOK, 2);
    expect(["64.800", "64.78", "64.10"].map((price) => whereIs(price, levels))).toEqual(["in view", "between", "below"]);
    expect(whereIs("64.80", buildLadder(null, 2))).toBe("between");
  });
});

describe("the list of a price's orders", () => {
  it("says what rests there, and that the price has left the view", () => {
    expect(headline(rowAt("64.77"), "in view")).toBe("64.77 · B 5 in 1 order");
    expect(headline(rowAt("64.77"), "above")).toBe("64.77 ▲ above the rows · B 5 in 1 order");
    expect(headline(rowAt("64.80"), "below")).toBe("64.80 ▼ below the rows · A 3 in 1 order");
  });

  it("writes a price below zero as other numbers are", () => {
    expect(headline({ ...rowAt("64.77"), price: "-0.25" }, "in view")).toBe("−0.25 · B 5 in 1 order");
  });

  it("says so when it has none, and why", () => {
    expect(headline(rowAt("64.78"), "in view")).toBe("64.78");
    expect(moreWords(rowAt("64.78"), 0, true)).toBe("No orders at this price.");
    expect(moreWords(rowAt("64.77"), 0, true)).toBe("The orders are on their way.");
    expect(moreWords(rowAt("64.77"), 0, false)).toContain("bring the price into view");
    expect(moreWords({ ...rowAt("64.78"), beyond: "B" }, 0, true)).toBe("");
  });

  it("counts those that it does not list", () => {
    const bid = { size: 9, count: 4, levels: [] };
    expect(moreWords({ bid, ask: null, beyond: "" }, 3, true)).toBe("and 1 more order");
    expect(moreWords({ bid, ask: null, beyond: "" }, 4, true)).toBe("");
  });

  it("has all digits of what the columns tell in three", () => {
    const flow = { bought: 123_456, sold: 0, unknown: 0, bidNet: -123_456, askNet: 10_001 };
    expect(flowWords({ flow })).toBe("sold 0 · bought 123,456 · bids −123,456 in 30 s · asks +10,001 in 30 s");
  });
});
