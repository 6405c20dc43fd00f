import { describe, expect, it } from "vitest";
import { withDecimals } from "../src/decimal";
import { buildLadder, spreadOf } from "../src/panes/ladder-model";
import type { LadderRow } from "../src/panes/ladder-rows";
import { level } from "./fixtures";

/** "A 64.78", "spread 0.01", "B 64.77", "": one word per row. */
function words(rows: readonly LadderRow[]): string[] {
  return rows.map((row) => {
    if (row.kind === "empty") return "";
    if (row.kind === "spread") return `${row.label} ${row.text}`.trim();
    return `${row.bid === null ? "" : "B"}${row.ask === null ? "" : "A"} ${row.price}${row.overlap ? " overlap" : ""}${row.best ? " best" : ""}`;
  });
}

describe("the rows of the compact ladder", () => {
  it("puts asks above bids, best prices next to the spread", () => {
    const ladder = buildLadder({ bids: [level("64.77"), level("64.75")], asks: [level("64.78"), level("64.80")] }, 2);
    expect(words(ladder.rows)).toEqual(["A 64.80", "A 64.78 best", "spread 0.01", "B 64.77 best", "B 64.75"]);
    expect(ladder.centre).toBe(2);
  });

  it("keeps the middle in its place when a side is thin, empty, or not there yet", () => {
    const thin = buildLadder({ bids: [level("1.00")], asks: [] }, 2);
    expect(words(thin.rows)).toEqual(["", "", "no asks", "B 1.00 best", ""]);
    expect(words(buildLadder({ bids: [], asks: [] }, 1).rows)).toEqual(["", "no orders", ""]);
    expect(words(buildLadder(null, 1).rows)).toEqual(["", "no book", ""]);
  });

  it("orders prices as numbers, not as text", () => {
    const ladder = buildLadder({ bids: [level("100.00"), level("99.50")], asks: [level("99.75"), level("1000.00")] }, 2);
    expect(words(ladder.rows).filter((word) => word !== "")).toEqual([
      "A 1000.00",
      "B 100.00 overlap best",
      "A 99.75 overlap best",
      "B 99.50",
    ]);
  });

  it("gives a crossed book one row per price, with both sides where they meet", () => {
    const bids = [level("65.40"), level("64.79"), level("64.70")];
    const asks = [level("64.78"), level("64.790"), level("64.82")];
    const ladder = buildLadder({ bids, asks }, 3);
    expect(words(ladder.rows)).toEqual([
      "",
      "",
      "B 65.40 overlap best",
      "A 64.82 overlap",
      "BA 64.79 overlap",
      "A 64.78 overlap best",
      "B 64.70",
    ]);
    expect(words(ladder.rows)[ladder.centre]).toBe("A 64.82 overlap");
  });

  it("shows a locked book as one shared price", () => {
    const ladder = buildLadder({ bids: [level("10.00")], asks: [level("10.00")] }, 1);
    expect(words(ladder.rows)).toEqual(["", "BA 10.00 overlap best", ""]);
  });

  it("never has another number of rows, whatever the book", () => {
    const many = (from: number, step: number) =>
      Array.from({ length: 10 }, (_, index) => level((from + index * step).toFixed(2)));
    for (const [bid, ask] of [[50, 51], [60, 51], [70, 41], [50, 50], [95, 41], [51, 50.5], [52.5, 40]] as const) {
      const ladder = buildLadder({ bids: many(bid, -1), asks: many(ask, 1) }, 10);
      expect(ladder.rows).toHaveLength(21);
      expect(ladder.rows[ladder.centre]?.kind).not.toBe("empty");
    }
  });

  it("takes no more levels than the depth, and scales to those it shows", () => {
    const ladder = buildLadder({ bids: [level("2.00", 5), level("1.00", 500)], asks: [] }, 1);
    expect(words(ladder.rows)).toEqual(["", "no asks", "B 2.00 best"]);
    expect(ladder.sizeMax).toBe(5);
  });

  it("subtracts the best prices exactly", () => {
    expect(spreadOf({ bids: [level("0.1")], asks: [level("0.3")] })).toBe("0.2");
    expect(spreadOf({ bids: [level("65.40")], asks: [level("64.78")] })).toBe("-0.62");
    expect(spreadOf({ bids: [level("4500.25")], asks: [level("4500.5")] })).toBe("0.25");
    expect(spreadOf({ bids: [], asks: [level("1.00")] })).toBeNull();
  });
});

describe("a price among others", () => {
  it.each([
    ["24.78", 3, "24.780"],
    ["24.775", 3, "24.775"],
    ["-3", 2, "−3.00"],
    ["3", 0, "3"],
    ["24.775", 2, "24.775"],
  ])("%s with %d decimals is %s", (price, decimals, text) => {
    expect(withDecimals(price, decimals)).toBe(text);
  });
});
