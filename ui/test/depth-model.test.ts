import { describe, expect, it } from "vitest";
import { buildDepth, pointAt, tickDecimals, ticks } from "../src/panes/depth-model";
import { runs } from "../src/panes/chart";
import { roundUp, Series, SERIES_SAMPLES_MAX, SERIES_SPAN_MS } from "../src/series";
import { level } from "./fixtures";

describe("the depth chart", () => {
  const book = {
    bids: [level("10.00", 5, 2), level("9.00", 7, 1)],
    asks: [level("11.00", 3, 1), level("12.00", 4, 4)],
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
    const curves = buildDepth({ bids: [level("10.00")], asks: [] });
    expect(curves?.to).toBeGreaterThan(curves?.from ?? 0);
    expect(buildDepth({ bids: [level("0.00")], asks: [] })?.to).toBeGreaterThan(0);
    expect(buildDepth({ bids: [], asks: [] })).toBeNull();
  });

  it("finds the level that a position has counted in", () => {
    const curves = buildDepth(book);
    if (curves === null) throw new Error("this book has levels");
    expect(pointAt(curves, 9.5)).toMatchObject({ side: "B", point: { level: { price: "10.00" } } });
    expect(pointAt(curves, 8)).toMatchObject({ side: "B", point: { level: { price: "9.00" } } });
    expect(pointAt(curves, 11.9)).toMatchObject({ side: "A", point: { level: { price: "11.00" } } });
    expect(pointAt(curves, 10.5)).toBeNull();
  });

  it("puts ticks on round numbers with the decimals they need", () => {
    expect(ticks(0, 100, 4)).toEqual({ step: 25, at: [0, 25, 50, 75, 100] });
    expect(tickDecimals(0.25)).toBe(2);
    expect(tickDecimals(0.0005)).toBe(4);
    expect(tickDecimals(50)).toBe(0);
  });
});

describe("time series", () => {
  it("forgets what is older than its span, and never grows beyond its bound", () => {
    const series = new Series(1);
    for (let index = 0; index < 1_000; index += 1) series.push(index * 10, [index]);
    expect(series.samples).toHaveLength(SERIES_SAMPLES_MAX);
    series.push(10_000 + SERIES_SPAN_MS + 1, [5]);
    expect(series.samples).toHaveLength(1);
    expect(series.max()).toBe(5);
  });

  it("refuses a sample with another number of lines", () => {
    expect(() => {
      new Series(2).push(0, [1]);
    }).toThrow("a sample of 2 values expected, got 1");
  });

  it("does not join what an outage or a missing value separates", () => {
    const samples = [0, 1_000, 2_000, 60_000, 61_000].map((atMs) => ({ atMs, values: [atMs === 1_000 ? null : 7] }));
    expect(runs(samples, 0).map((run) => run.map((point) => point.atMs))).toEqual([[0], [2_000], [60_000, 61_000]]);
  });

  it.each([[0, 1], [1, 1], [7, 8], [1_050, 1_200], [52_000, 60_000], [0.00012, 0.00012]])("%d fits under %d", (value, top) => {
    expect(roundUp(value)).toBeCloseTo(top, 9);
  });
});
