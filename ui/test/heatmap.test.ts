import { describe, expect, it } from "vitest";
import { Columns, COLUMNS_MAX, LEVELS_MAX } from "../src/heatmap-columns";
import { heatRamp, luminance, RAMP_STEPS } from "../src/heatmap-ramp";
import { middleOf, PriceRange, ROW_STEPS } from "../src/heatmap-range";
import { heat, percentile, roundUpSize, SteadyMax } from "../src/heatmap-scale";
import { clock, openingWindow, pxOf, timeTicks, zoomedWindow } from "../src/heatmap-time";
import { Bubbles, TradeRing, TRADES_MAX } from "../src/heatmap-trades";
import { TimeView } from "../src/heatmap-view";
import { restingLines, summaryRows } from "../src/heatmap-words";
import { PriceGrid } from "../src/price-grid";
import { labelStep, priceTicks } from "../src/price-ticks";
import type { Book } from "../src/feed/wire";
import { book, level } from "./fixtures";

const S = 1_000_000_000n;
const START = 1_758_751_200n * S;

function bookAt(second: number, changes: Partial<Book> = {}): Book {
  return book({ tsRecv: String(START + BigInt(Math.round(second * 1e9))), ...changes });
}

/** A book of so many seconds after the first one. */
function push(columns: Columns, second: number, changes: Partial<Book> = {}): void {
  if (columns.length === 0) columns.begin(START);
  columns.push(bookAt(second, changes), second * 1e9);
}

/** The same numbers of [0, 1) in every run. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe("the grid of prices", () => {
  it("takes the largest tick that all prices are multiples of, and goes back to exact prices", () => {
    const factors: number[] = [];
    const grid = new PriceGrid((factor) => factors.push(factor));
    grid.learn(["64.25", "64.75", "-1.00"]);
    expect(grid.price(grid.index("64.75"))).toBe("64.75");
    expect(grid.index("64.75") - grid.index("64.25")).toBe(2);
    grid.learn(["64.30"]);
    expect(factors).toEqual([5]);
    expect(grid.index("64.75") - grid.index("64.25")).toBe(10);
    expect(grid.price(grid.index("-1.00"))).toBe("−1.00");
  });

  it("is not spoilt by a price that lies on no grid, whenever it comes", () => {
    const factors: number[] = [];
    const [onGrid, offGrid] = [["64.20", "64.21", "64.22", "64.23", "64.24", "64.25", "64.26", "64.28"], "64.210000001"];
    for (const prices of [[offGrid, ...onGrid], [...onGrid, offGrid]]) {
      const grid = new PriceGrid((factor) => factors.push(factor));
      grid.learn(prices.slice(0, 8));
      grid.learn(prices);
      expect(grid.index("64.22") - grid.index("64.21")).toBe(1);
      expect(grid.price(grid.index(offGrid))).toBe("64.21");
    }
    expect(factors).toEqual([]);
  });

  it("is exact where a float is not", () => {
    const grid = new PriceGrid(() => undefined);
    grid.learn(["0.1", "0.3", "0.000000001"]);
    expect(grid.price(grid.index("0.3"))).toBe("0.300000000");
  });
});

describe("columns", () => {
  it("keep the sizes of a book, and bin them into rows of several ticks", () => {
    const columns = new Columns();
    push(columns, 0, { bids: [level("10.03", 4), level("10.00", 6)], asks: [level("10.04", 7)] });
    const rows = new Float64Array(3);
    columns.bin(0, rows, 500, 2);
    expect([...rows]).toEqual([6, 4, 7]);
    expect(columns.resting(0, 1_000, 1_004)).toEqual({ bidSize: 10, askSize: 0, levels: 2 });
    expect([columns.best(0, "B"), columns.best(0, "A")]).toEqual([1_003, 1_004]);
  });

  it("are worth the same after a finer tick has been learnt", () => {
    const columns = new Columns();
    push(columns, 0, { bids: [level("10.00", 6)], asks: [level("10.50", 7)] });
    push(columns, 1, { bids: [level("10.10", 1)], asks: [] });
    expect(columns.grid.price(columns.best(0, "A") ?? 0)).toBe("10.50");
    expect(columns.best(1, "A")).toBeNull();
  });

  it("are a ring: the oldest gives way, and no more is kept than the bound", () => {
    const columns = new Columns();
    for (let at = 0; at < COLUMNS_MAX + 5; at += 1) {
      if (at === 0 || at === COLUMNS_MAX) push(columns, at, { bids: [level("64.70", 99)] });
      else push(columns, at);
    }
    expect([columns.first, columns.length]).toEqual([5, COLUMNS_MAX]);
    expect(columns.level(COLUMNS_MAX, "B", 0)?.size).toBe(99);
    expect(columns.level(5, "B", 0)?.size).toBe(5);
    expect([columns.at(5), columns.until]).toEqual([5e9, (COLUMNS_MAX + 4) * 1e9]);
  });

  it("stand until the next one, and are found by any stretch of time", () => {
    const columns = new Columns();
    for (const second of [0, 1, 1.5, 60]) push(columns, second);
    const within = (from: number, to: number) => columns.within(from * 1e9, to * 1e9);
    expect(within(30, 31)).toEqual([2, 3]);
    expect(within(0.5, 1.6)).toEqual([0, 3]);
    expect(within(-5, 0.1)).toEqual([0, 1]);
    expect(within(-5, -4)).toEqual([0, 0]);
    expect(within(61, 62)).toEqual([4, 4]);
    columns.cut(1.2e9);
    expect([columns.length, columns.until, ...within(1.1, 1.2)]).toEqual([2, 1.2e9, 1, 2]);
  });

  it("do not claim to know what lies beyond a full side", () => {
    const columns = new Columns();
    const bids = Array.from({ length: LEVELS_MAX }, (_, place) => level(`${200 - place}`, 1));
    push(columns, 0, { bids, asks: [level("201")] });
    expect(columns.isKnown(0, 101)).toBe(true);
    expect(columns.isKnown(0, 100)).toBe(false);
    expect(columns.isKnown(0, 900)).toBe(true);
    expect(columns.known(0)).toEqual([101, Infinity]);
    expect(restingLines(columns, 0, 100, 101)[0]).toBe("100 · beyond the 100 levels received");
    expect(restingLines(columns, 0, 900, 901)[0]).toBe("900 · nothing rests");
    push(columns, 1, { bids: bids.slice(0, 20), asks: [level("201")], levelsMax: 20 });
    expect([columns.isKnown(1, 181), columns.isKnown(1, 180)]).toEqual([true, false]);
    expect(restingLines(columns, 1, 180, 181)[0]).toBe("180 · beyond the 20 levels received");
  });

  it("say what they hold in words, exact to the nanosecond, and a gap as one", () => {
    const columns = new Columns();
    columns.begin(BigInt(book().tsRecv));
    columns.push(book(), 0);
    const ticks = columns.best(0, "B") ?? 0;
    expect(restingLines(columns, 0, ticks, ticks + 1)).toEqual([
      "64.77 · bid size 5",
      "best bid 64.77 · best ask 64.78",
      "2025-09-24T22:00:00.123456999Z",
    ]);
    expect(summaryRows(columns).map(({ what, price, size }) => [what, price, size])).toEqual([
      ["Best bid", "64.77", "5"],
      ["Largest bid 1", "64.77", "5"],
      ["Best ask", "64.78", "7"],
      ["Largest ask 1", "64.78", "7"],
    ]);
    columns.pushGap(5);
    expect(restingLines(columns, 1, ticks, ticks + 1)[0]).toContain("no data");
    expect(summaryRows(columns)).toEqual([]);
  });
});

describe("the scale of sizes", () => {
  it("takes percentiles of what was measured and of nothing else", () => {
    const values = Float64Array.from([5, 1, 4, 2, 3, 99, 99]);
    expect(percentile(values, 5, 0.5)).toBe(3);
    expect(percentile(values, 0, 0.5)).toBe(0);
  });

  it("stands still while sizes tremble, and moves when they change", () => {
    const scale = new SteadyMax();
    expect(scale.propose(93)).toBe(true);
    expect(scale.value).toBe(100);
    for (const size of [70, 95, 110, 124]) expect(scale.propose(size)).toBe(false);
    expect(scale.propose(130)).toBe(true);
    expect(scale.value).toBe(150);
    expect(scale.propose(0)).toBe(false);
    expect(scale.propose(20)).toBe(true);
    expect(scale.value).toBe(20);
  });

  it.each([[0, 1], [1, 1], [3, 3], [3.1, 5], [101, 150], [99_000, 100_000]])("rounds %d up to %d", (size, rounded) => {
    expect(roundUpSize(size)).toBe(rounded);
  });

  it("clamps", () => {
    expect([heat(0, 100), heat(50, 100), heat(1_000, 100), heat(5, 0)]).toEqual([0, 0.5, 1, 0]);
  });
});

describe("the colours of heat", () => {
  it.each([
    ["dark", false, [15, 17, 22] as const, 1],
    ["light", true, [255, 255, 255] as const, -1],
  ])("in the %s theme go evenly away from the background", (_, isLight, background, direction) => {
    const ramp = heatRamp(isLight, background);
    expect(ramp).toHaveLength(RAMP_STEPS);
    expect(ramp[0]).toEqual(background);
    const lightness = ramp.map((colour) => Math.cbrt(luminance(colour)) * direction);
    for (let step = 32; step < RAMP_STEPS; step += 16) {
      expect(lightness[step]).toBeGreaterThan(lightness[step - 16] ?? 0);
    }
    expect(ramp[1]).not.toEqual(background);
  });
});

describe("the prices in view", () => {
  const columns = new Columns();
  const side = (best: number, by: number): ReturnType<typeof level>[] => Array.from({ length: 60 }, (_, place) => level((best + by * place * 0.01).toFixed(2), 3));
  push(columns, 0, { bids: side(100, -1), asks: side(100.01, 1) });

  it("have steps that show ever more", () => {
    const reach = ROW_STEPS.map(({ rowTicks, rowPx }) => rowTicks / rowPx);
    expect(reach).toEqual([...reach].sort((a, b) => a - b));
    expect(new Set(reach).size).toBe(reach.length);
  });

  it("are chosen by the levels there are, with the market in the middle", () => {
    const range = new PriceRange();
    range.resize(400);
    range.fit(columns, 0, null);
    expect(range.ticks).toBeGreaterThan(80);
    expect(range.ticks).toBeLessThan(200);
    expect(range.y(middleOf(columns, 0) ?? 0)).toBeCloseTo(200, -1.2);
    expect(range.rowAt(range.y(10_010))).toBe(Math.floor(10_010 / range.rowTicks));
  });

  it("stay while the market moves a little and go after it when it goes far", () => {
    const range = new PriceRange();
    range.resize(400);
    range.fit(columns, 0, null);
    const [centre, ticks] = [range.centre, range.ticks];
    expect(range.follow(centre + 0.29 * ticks)).toBe(false);
    expect(range.follow(centre - 0.29 * ticks)).toBe(false);
    expect(range.centre).toBe(centre);
    expect(range.follow(centre + 0.31 * ticks)).toBe(true);
    expect(range.centre).toBe(centre + 0.31 * ticks);
    range.scroll(5);
    expect(range.follow(centre + 10 * ticks)).toBe(false);
  });

  it("widen where the market leaves them, so that all best prices in view stay in view, and are narrower again after that", () => {
    const moving = new Columns();
    const middles = [100, 100, 101, 102, 103, 104, 104, 104];
    for (const [second, middle] of middles.entries()) push(moving, second, { bids: side(middle, -1), asks: side(middle + 0.01, 1) });
    const range = new PriceRange();
    range.resize(400);
    range.fit(moving, 0, moving.bestSpan(0, 1));
    const { ticks } = range;
    expect(moving.bestSpan(0, 8)).toEqual({ low: 10_000, high: 10_401 });
    for (let column = 1; column < 8; column += 1) {
      const best = moving.bestSpan(0, column + 1);
      if (range.isOutgrown(moving, column, best)) range.fit(moving, column, best);
      const [top, bottom] = [range.y(best?.high ?? 0), range.y(best?.low ?? 0)];
      expect(top > 0 && bottom < 400).toBe(true);
      expect(range.isLeft(middleOf(moving, column) ?? 0)).toBe(false);
      expect(range.isOutgrown(moving, column, best)).toBe(false);
    }
    expect(range.ticks).toBeGreaterThan(2 * ticks);
    expect(range.isLeft(10_400 + range.ticks)).toBe(true);
    const newest = moving.bestSpan(5, 8);
    expect(range.isOutgrown(moving, 7, newest)).toBe(true);
    range.fit(moving, 7, newest);
    expect(range.ticks).toBe(ticks);
    // One price of nonsense does not flatten all others, and what the reader has chosen stays.
    range.fit(moving, 7, { low: 0, high: 1e6 });
    expect([range.ticks < 10 * ticks, range.isOutgrown(moving, 7, { low: 0, high: 1e6 })]).toEqual([true, false]);
    range.zoom(1, 200);
    expect(range.isOutgrown(moving, 7, newest)).toBe(false);
  });

  it("are not outgrown as soon as they are chosen, whatever the book, the prices in view and the height", () => {
    const next = numbersFrom(7);
    const until = (end: number): number => Math.floor(next() * end);
    const books = new Columns();
    for (let column = 0; column < 1_000; column += 1) {
      const [bid, spread, apart] = [10_000 + until(1_000), 1 + until(20), 1 + until(10 ** until(7))];
      const levels = (best: number, by: number): ReturnType<typeof level>[] =>
        Array.from({ length: 1 + until(20) }, (_, place) => level(((best + by * place * apart) / 100).toFixed(2)));
      push(books, column, { bids: levels(bid, -1), asks: levels(bid + spread, 1) });
      const best = until(2) === 0 ? null : { low: bid - until(apart * 3), high: bid + spread + until(apart * 3) };
      const range = new PriceRange();
      range.resize(100 + until(1_400));
      range.fit(books, column, best);
      expect(range.isOutgrown(books, column, best), `book ${column}: ${range.rows} rows of ${range.rowTicks}`).toBe(false);
    }
  });

  it("zoom about the pointer, and group ticks when there are too many", () => {
    const range = new PriceRange();
    range.resize(400);
    range.fit(columns, 0, null);
    range.follows = false;
    const before = range.rowAt(100) * range.rowTicks;
    range.zoom(-8, 100);
    expect(range.rowTicks).toBeGreaterThan(1);
    expect(Math.abs(range.rowAt(100) * range.rowTicks - before)).toBeLessThanOrEqual(2 * range.rowTicks);
    range.zoom(-1_000, 100);
    range.zoom(1_000, 100);
    expect(range.rowTicks).toBe(1);
  });

  it.each([[10_000_000n, 7, 10], [250_000_000n, 3, 4], [15_625_000n, 5, 8], [0n, 3, 3]])("label round prices of tick %d", (tick, least, step) => {
    expect(labelStep(tick, least)).toBe(step);
  });

  it("labels nothing until a price is known", () => {
    const [grid, range] = [new PriceGrid(() => undefined), new PriceRange()];
    range.resize(100);
    expect(priceTicks(grid, range, 10)).toEqual([]);
    grid.learn(["64.25"]);
    expect(priceTicks(grid, range, 10).length).toBeGreaterThan(0);
  });
});

describe("the time axis", () => {
  it("opens with what has been seen, up to a minute of the page's time, and zooms from there", () => {
    const S9 = 1e9;
    expect([0, 2.5, 19, 100_000].map((seconds) => openingWindow(seconds * S9, 1) / S9)).toEqual([2, 3, 24, 60]);
    expect([0, 400, 1e6].map((seconds) => openingWindow(seconds * S9, 100) / S9)).toEqual([2, 420, 7_200]);
    expect([0, 0.04, 100].map((seconds) => openingWindow(seconds * S9, 0.01) / S9)).toEqual([0.02, 0.05, 1]);
    expect(zoomedWindow(60 * S9, 1)).toBe(45 * S9);
    expect(zoomedWindow(0.02 * S9, 5)).toBe(0.01 * S9);
    expect(zoomedWindow(500 * S9, -1)).toBe(900 * S9);
  });

  it("is even, and labelled at round times, whenever the books came", () => {
    const columns = new Columns();
    for (const second of [0, 1, 2, 900, 901, 2_000]) push(columns, second);
    const nsPerPx = 5e9;
    const ticks = timeTicks(columns, nsPerPx, 0, 400, 80);
    expect(ticks.map(({ label }) => label)).toEqual(["22:10:00", "22:20:00", "22:30:00"]);
    expect(ticks.map(({ px }) => px)).toEqual([120, 240, 360]);
    expect(pxOf(columns.at(3), nsPerPx)).toBe(180);
    expect(timeTicks(columns, 1e6, 0, 400, 80).map(({ label }) => label)).toEqual(["22:00:00.100", "22:00:00.200", "22:00:00.300"]);
    expect(timeTicks(columns, 1e12, 0, 400, 80).map(({ label }) => label)).toEqual(["2025-09-25", "2025-09-26", "2025-09-27", "2025-09-28", "2025-09-29"]);
    expect(clock(columns.tsOf(1.5e9), true)).toBe("22:00:01.500");
  });
});

describe("the view of time", () => {
  const filled = (seconds: number): Columns => {
    const columns = new Columns();
    for (const second of [0, seconds]) push(columns, second);
    return columns;
  };

  it("follows what is newest until it is scrolled, and again from the end on", () => {
    const columns = filled(200);
    const view = new TimeView(columns);
    view.fit(1_000, 1);
    expect([view.windowNs, view.endPx]).toEqual([60e9, pxOf(200e9, view.nsPerPx) + 1]);
    view.scroll(200);
    expect(view.follows).toBe(false);
    const { endPx } = view;
    columns.until += 1e9;
    expect(view.endPx).toBe(endPx);
    view.scroll(Infinity);
    expect(view.fromPx).toBe(0);
    view.scroll(-10_000);
    expect(view.follows).toBe(true);
  });

  it("keeps the moment under the pointer when it zooms", () => {
    const view = new TimeView(filled(450));
    view.fit(1_000, 1);
    view.scroll(3_000);
    const before = (view.fromPx + 300) * view.nsPerPx;
    expect(view.zoom(-3, 300)).toBe(true);
    expect(view.windowNs).toBe(180e9);
    expect(Math.abs((view.fromPx + 300) * view.nsPerPx - before)).toBeLessThanOrEqual(view.nsPerPx);
  });

  it("is as much longer as a replay is faster, unless the reader has chosen, and does not tremble with a measured pace", () => {
    const view = new TimeView(filled(1e5));
    view.fit(1_000, 1);
    expect([view.fit(1_000, 1.3), view.fit(1_000, 0.8), view.fit(1_000, 0)]).toEqual([false, false, false]);
    expect([view.fit(1_000, 100), view.windowNs]).toEqual([true, 7_200e9]);
    view.zoom(1, 0);
    const { windowNs } = view;
    expect([view.fit(1_000, 1), view.windowNs]).toEqual([false, windowNs]);
  });
});

describe("trades", () => {
  it("are summed by moment and price, and the oldest give way", () => {
    const ring = new TradeRing();
    ring.push({ at: 1, ticks: 10, size: 3, side: "B" });
    ring.push({ at: 1, ticks: 10, size: 4, side: "A" });
    ring.push({ at: 2, ticks: 10, size: 9, side: "N" });
    expect(ring.traded(1, 2, 10, 11)).toEqual({ count: 2, buySize: 3, sellSize: 4, otherSize: 0 });
    ring.refine(5);
    expect(ring.traded(0, 9, 50, 51).count).toBe(3);
    ring.cut(1);
    expect(ring.length).toBe(2);
    for (let at = 0; at < TRADES_MAX; at += 1) ring.push({ at: 5, ticks: 1, size: 1, side: "B" });
    expect(ring.length).toBe(TRADES_MAX);
    expect(ring.traded(0, 9, 50, 51).count).toBe(0);
  });

  it("near to each other are one bubble at their weighted middle, the sides apart", () => {
    const bubbles = new Bubbles();
    const trades = [
      { at: 0, ticks: 100, size: 1, side: "B" },
      { at: 8, ticks: 100, size: 3, side: "B" },
      { at: 8, ticks: 100, size: 3, side: "A" },
      { at: 15, ticks: 100, size: 3, side: "B" },
    ] as const;
    bubbles.rebuild(trades, 10, 4);
    expect([...bubbles.all]).toEqual([
      { side: "B", at: 6, ticks: 100, size: 4, count: 2 },
      { side: "A", at: 8, ticks: 100, size: 3, count: 1 },
      { side: "B", at: 15, ticks: 100, size: 3, count: 1 },
    ]);
    bubbles.forgetBefore(9);
    expect(bubbles.count).toBe(1);
  });
});
