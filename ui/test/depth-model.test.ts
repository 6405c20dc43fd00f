import { describe, expect, it } from "vitest";
import { averagePrice, buildDepth, distanceOf, pointAt } from "../src/panes/depth-model";
import { roundUp } from "../src/round";
import { level } from "./fixtures";

describe("the depth chart", () => {
  const book = {
    bids: [level("10.00", 5, 2), level("9.00", 7, 1)],
    asks: [level("11.00", 3, 1), level("12.00", 4, 4)],
    levelsMax: 100,
  };

  it("adds up sizes and orders from the best level outward", () => {
    const curves = buildDepth(book);
    expect(curves?.bids.map((point) => [point.x, point.cumulative, point.orders])).toEqual([[10, 5, 2], [9, 12, 3]]);
    expect(curves?.sizeMax).toBe(12);
  });

  it("does not let a stub quote flatten the rest", () => {
    const curves = buildDepth({ ...book, bids: [...book.bids, level("0.01", 1_000_000, 1)] });
    expect(curves?.from).toBeGreaterThan(1);
    expect(curves?.sizeMax).toBe(12);
  });

  it("has an extent for a single price, and nothing for an empty book", () => {
    const curves = buildDepth({ levelsMax: 100, bids: [level("10.00")], asks: [] });
    expect(curves?.to).toBeGreaterThan(curves?.from ?? 0);
    expect(buildDepth({ levelsMax: 100, bids: [level("0.00")], asks: [] })?.to).toBeGreaterThan(0);
    expect(buildDepth({ levelsMax: 100, bids: [], asks: [] })).toBeNull();
  });

  it("finds the level that a position has counted in", () => {
    const curves = buildDepth(book);
    if (curves === null) throw new Error("this book has levels");
    expect(pointAt(curves, 9.5)).toMatchObject({ side: "B", point: { level: { price: "10.00" } } });
    expect(pointAt(curves, 8)).toMatchObject({ side: "B", point: { level: { price: "9.00" } } });
    expect(pointAt(curves, 11.9)).toMatchObject({ side: "A", point: { level: { price: "11.00" } } });
    expect(pointAt(curves, 10.5)).toBeNull();
  });

  it("tells what all size up to a price costs on average, never better than it is", () => {
    const curves = buildDepth({
      levelsMax: 100,
      bids: [level("10.00", 2), level("9.99", 1)],
      asks: [level("10.01", 2), level("10.02", 1)],
    });
    if (curves === null) throw new Error("this book has levels");
    const [bid, lower] = curves.bids;
    const [ask, higher] = curves.asks;
    if (bid === undefined || lower === undefined || ask === undefined || higher === undefined) throw new Error("two levels a side");
    expect([averagePrice(curves.bids, bid), averagePrice(curves.bids, lower)]).toEqual(["10.0000", "9.9966"]);
    expect([averagePrice(curves.asks, ask), averagePrice(curves.asks, higher)]).toEqual(["10.0100", "10.0134"]);
    const below = buildDepth({ levelsMax: 100, bids: [level("-1.00", 2), level("-2.00", 1)], asks: [] });
    expect(below?.bids.map((point) => averagePrice(below.bids, point))).toEqual(["−1.0000", "−1.3334"]);
    expect([distanceOf(lower, ask), distanceOf(higher, bid)]).toEqual(["0.02", "0.02"]);
  });

  it.each([[0, 1], [1, 1], [7, 8], [1_050, 1_200], [52_000, 60_000], [0.00012, 0.00012]])("%d fits under %d", (value, top) => {
    expect(roundUp(value)).toBeCloseTo(top, 9);
  });
});
