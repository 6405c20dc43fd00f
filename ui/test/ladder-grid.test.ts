import { describe, expect, it } from "vitest";
import { parseDecimal } from "../src/decimal";
import type { Level } from "../src/feed/wire";
import { Flow } from "../src/flow";
import { buildGrid, rangeOf } from "../src/panes/ladder-grid";
import { ordersOf, type Ladder, type PriceRow } from "../src/panes/ladder-rows";
import { isPrice } from "../src/panes/ladder-table";
import { book, level } from "./fixtures";

const CENT = parseDecimal("0.01");

/** A level whose orders are called by their price and place: "64.77/0". */
function queued(price: string, ...sizes: number[]): Level {
  const queue = sizes.map((size, place) => [`${price}/${place}`, size, "0"] as const);
  return { price, size: sizes.reduce((a, b) => a + b, 0), count: sizes.length, queue };
}

function at(ladder: Ladder, price: string): PriceRow {
  const row = ladder.rows.find((each) => isPrice(each) && each.price === price);
  if (!isPrice(row)) throw new Error(`no row at ${price}`);
  return row;
}

const grid = (top: string, rows: number, ticks = 1) => {
  const step = CENT * BigInt(ticks);
  return { step, top: parseDecimal(top) / step, rows };
};

describe("the rows of a static ladder", () => {
  it("has one for every tick, whether or not anything rests there", () => {
    const ladder = buildGrid({ bids: [level("64.77"), level("64.74")], asks: [level("64.80")] }, grid("64.82", 9), null);
    expect(ladder.rows.map((row) => isPrice(row) && `${row.price} ${row.kind}`)).toEqual([
      "64.82 tick",
      "64.81 tick",
      "64.80 level",
      "64.79 tick",
      "64.78 tick",
      "64.77 level",
      "64.76 tick",
      "64.75 tick",
      "64.74 level",
    ]);
    expect(ladder.rows.map((row) => isPrice(row) && row.inside)).toEqual([false, false, false, true, true, false, false, false, false]);
    expect([at(ladder, "64.80").best, at(ladder, "64.77").best, at(ladder, "64.74").best]).toEqual([true, true, false]);
  });

  it("writes prices as the wire does, below zero too", () => {
    const ladder = buildGrid({ bids: [level("-0.01")], asks: [level("0.00")] }, grid("0.01", 3), null);
    expect(ladder.rows.map((row) => isPrice(row) && row.price)).toEqual(["0.01", "0.00", "-0.01"]);
    expect(at(ladder, "-0.01").bid?.size).toBe(1);
  });

  it("merges levels into rows of several ticks: sizes, orders, and queues in the order they are to be traded", () => {
    const bids = [queued("64.77", 3, 1), queued("64.76", 5), queued("64.74", 2)];
    const asks = [queued("64.78", 4), queued("64.80", 6, 7), queued("64.81", 9)];
    const ladder = buildGrid({ bids, asks }, grid("64.90", 10, 5), null);
    expect(at(ladder, "64.75").bid).toMatchObject({ size: 9, count: 3 });
    expect(ordersOf(at(ladder, "64.75").bid ?? never()).map(({ order, price }) => `${order[0]} at ${price}`)).toEqual([
      "64.77/0 at 64.77",
      "64.77/1 at 64.77",
      "64.76/0 at 64.76",
    ]);
    expect(at(ladder, "64.70").bid?.size).toBe(2);
    // Asks belong to the row at or above them: none is shown better than it is.
    expect(at(ladder, "64.80").ask).toMatchObject({ size: 17, count: 3 });
    expect(ordersOf(at(ladder, "64.80").ask ?? never()).map(({ order }) => order[0])).toEqual(["64.78/0", "64.80/0", "64.80/1"]);
    expect(at(ladder, "64.85").ask?.size).toBe(9);
    expect(ladder.sizeMax).toBe(17);
  });

  it("never puts both sides of an uncrossed book into one row, whatever the grouping", () => {
    for (const ticks of [1, 2, 3, 5, 7, 10, 20, 50, 100, 500]) {
      const ladder = buildGrid({ bids: [level("64.77")], asks: [level("64.78")] }, grid("70.00", 600, ticks), null);
      expect(ladder.rows.filter((row) => isPrice(row) && row.bid !== null && row.ask !== null)).toEqual([]);
    }
  });

  it("loses nothing: the rows of any grouping hold the sizes and orders of all levels in view", () => {
    const bids = Array.from({ length: 60 }, (_, index) => queued((64.7 - index * 0.01).toFixed(2), index + 1));
    const asks = Array.from({ length: 60 }, (_, index) => queued((64.72 + index * 0.01).toFixed(2), index + 1, 1));
    for (const ticks of [1, 2, 5, 10, 20, 50, 100]) {
      const ladder = buildGrid({ bids, asks }, grid("66.00", 400, ticks), null);
      const sum = (side: "bid" | "ask", name: "size" | "count"): number =>
        ladder.rows.reduce((total, row) => total + (isPrice(row) ? (row[side]?.[name] ?? 0) : 0), 0);
      expect([sum("bid", "size"), sum("bid", "count")]).toEqual([1_830, 60]);
      expect([sum("ask", "size"), sum("ask", "count")]).toEqual([1_890, 120]);
    }
  });

  it("marks what overlaps in a crossed book, at every tick between", () => {
    const ladder = buildGrid({ bids: [level("64.79")], asks: [level("64.77")] }, grid("64.80", 5), null);
    expect(ladder.rows.map((row) => isPrice(row) && row.overlap)).toEqual([false, true, true, true, false]);
  });

  it("shows a price off the grid in the row it belongs to", () => {
    const ladder = buildGrid({ bids: [level("64.775")], asks: [level("64.785")] }, grid("64.80", 4), null);
    expect([at(ladder, "64.77").bid?.size, at(ladder, "64.79").ask?.size]).toEqual([1, 1]);
  });

  it("says so where there is nothing", () => {
    const words = (ladder: Ladder) => ladder.rows.map((row) => (row.kind === "spread" ? row.text : row.kind));
    expect(words(buildGrid(null, grid("1.00", 3), null))).toEqual(["empty", "no book", "empty"]);
    expect(words(buildGrid({ bids: [], asks: [] }, { step: 0n, top: 0n, rows: 3 }, null))).toEqual(["empty", "no orders", "empty"]);
  });

  it("adds what was done at the prices of a row", () => {
    const flow = new Flow();
    flow.takeDepth(book({ bids: [level("64.77", 9), level("64.76", 4)], asks: [level("64.78", 7)], tsRecv: "1000000000" }), true);
    flow.takeTrades([{ tsRecv: "2000000000", price: "64.77", size: 3, side: "A" }, { tsRecv: "2000000000", price: "64.78", size: 2, side: "B" }], false);
    flow.takeDepth(book({ bids: [level("64.77", 6), level("64.76", 1)], asks: [level("64.78", 9)], tsRecv: "2000000000" }), false);
    const single = buildGrid(book(), grid("64.80", 8), flow);
    expect(at(single, "64.77").flow).toMatchObject({ sold: 3, bought: 0, bidNet: 0 });
    expect(at(single, "64.76").flow).toMatchObject({ sold: 0, bidNet: -3 });
    expect(at(single, "64.78").flow).toMatchObject({ bought: 2, askNet: 4 });
    const grouped = buildGrid(book(), grid("64.90", 8, 5), flow);
    expect(at(grouped, "64.75").flow).toEqual({ sold: 3, bought: 0, unknown: 0, bidNet: -3, askNet: 0 });
    expect(at(grouped, "64.80").flow).toEqual({ sold: 0, bought: 2, unknown: 0, bidNet: 0, askNet: 4 });
    expect(grouped.tradedMax).toBe(3);
  });

  it("tells the prices that the levels do not reach from empty ones, and a group that they cut from a whole one", () => {
    const bids = [level("64.77"), level("64.76"), level("64.74")];
    const asks = [level("64.78"), level("64.80"), level("64.81")];
    const marks = (levelsMax: number, ticks: number): string[] =>
      buildGrid({ bids, asks, levelsMax }, grid("64.90", ticks === 1 ? 20 : 6, ticks), null).rows.flatMap((row) =>
        isPrice(row) && row.cut + row.beyond !== "" ? [`${row.price} cut ${row.cut} beyond ${row.beyond}`] : [],
      );
    expect(marks(100, 5)).toEqual([]);
    expect(marks(3, 5)).toEqual(["64.90 cut  beyond A", "64.85 cut A beyond ", "64.70 cut B beyond ", "64.65 cut  beyond B"]);
    const single = marks(3, 1);
    expect(single.filter((mark) => mark.includes("cut B") || mark.includes("cut A"))).toEqual([]);
    expect([single[8], single[9]]).toEqual(["64.82 cut  beyond A", "64.73 cut  beyond B"]);
  });

  it("says nothing of what was pulled beyond the levels", () => {
    const flow = new Flow();
    flow.takeDepth(book({ bids: [level("64.77", 9), level("64.76", 4)], tsRecv: "1000000000" }), true);
    flow.takeDepth(book({ bids: [level("64.77", 9), level("64.76", 1)], tsRecv: "2000000000" }), false);
    const rows = (levelsMax: number) => buildGrid(book({ bids: [level("64.77", 9)], levelsMax }), grid("64.80", 8), flow);
    expect(at(rows(100), "64.76").flow).toMatchObject({ bidNet: -3 });
    expect(at(rows(1), "64.76").flow).toMatchObject({ bidNet: 0 });
  });
});

describe("the market of a book", () => {
  it("reaches from the lowest price to the highest, crossed or not", () => {
    expect(rangeOf({ bids: [level("5.00"), level("1.00")], asks: [level("2.00"), level("3.00")] })).toEqual([
      parseDecimal("1"),
      parseDecimal("5"),
    ]);
    expect(rangeOf({ bids: [], asks: [] })).toEqual([null, null]);
  });
});

function never(): never {
  throw new Error("the row has no such side");
}
