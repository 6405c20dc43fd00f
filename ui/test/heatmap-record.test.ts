import { describe, expect, it } from "vitest";
import type { Trade } from "../src/feed/feed";
import type { Book } from "../src/feed/wire";
import { GAP_COLUMNS_MAX, GAP_COLUMNS_MIN, HeatmapRecord, HELD_COLUMNS, PLACED_MAX, UNSEEN_COLUMNS_MAX } from "../src/heatmap-record";
import { book, level } from "./fixtures";

function bookAt(ts: number, size = 5, changes: Partial<Book> = {}): Book {
  return book({ tsRecv: String(ts), bids: [level("64.77", size)], ...changes });
}

function trade(ts: number, changes: Partial<Trade> = {}): Trade {
  return { tsEvent: String(ts), tsRecv: String(ts), price: "64.77", size: 2, side: "A", orderId: "0", sequence: ts, ...changes };
}

function sizes({ columns }: HeatmapRecord): (number | null)[] {
  return Array.from({ length: columns.length }, (_, at) => columns.level(columns.first + at, "B", 0)?.size ?? null);
}

const made = (): HeatmapRecord => new HeatmapRecord(() => undefined);

describe("what the heatmap keeps", () => {
  it("is a column each 50 ms: the last book of an interval, and the same one until there is another", () => {
    const record = made();
    record.takeDepth(bookAt(1, 1), 1_000);
    record.takeDepth(bookAt(2, 2), 1_010);
    record.takeDepth(bookAt(3, 3), 1_060);
    record.advance(1_210, "moving");
    record.takeDepth(bookAt(4, 4), 1_310);
    expect(sizes(record)).toEqual([2, 3, 3, 3, 3, 3, 4]);
  });

  it("begins with all levels where a few came just before, and keeps what it has of a slow line", () => {
    const [record, slow] = [made(), made()];
    for (const each of [record, slow]) each.takeDepth(bookAt(1, 1, { levelsMax: 20 }), 0);
    record.advance(300, "moving");
    record.takeDepth(bookAt(2, 2), 300);
    expect(sizes(record)).toEqual([2]);
    record.takeDepth(bookAt(3, 3, { levelsMax: 20 }), 360);
    record.takeDepth(bookAt(4, 4), 420);
    expect(sizes(record)).toEqual([2, 3, 4]);
    slow.advance(2_950, "moving");
    slow.takeDepth(bookAt(2, 2), 3_010);
    expect([slow.columns.length, sizes(slow).at(0), sizes(slow).at(-1)]).toEqual([61, 1, 2]);
  });

  it("shows a lost connection as a gap of its length, and a long one no longer than its bound", () => {
    const record = made();
    record.takeDepth(bookAt(1, 1), 0);
    record.advance(100, "cut");
    record.advance(200, "moving");
    expect(sizes(record)).toEqual([1, null, null, null, null]);
    record.takeDepth(bookAt(2, 2), 210);
    expect(sizes(record).at(-1)).toBe(2);
    expect(record.columns.kind(record.columns.end - 2)).toBe("gap");
    record.advance(1e6, "cut");
    record.advance(2e6, "cut");
    expect(record.columns.length).toBe(6 + GAP_COLUMNS_MAX);
  });

  it("keeps a bounded number of trades for a pane that does not look, and has it begin anew", () => {
    const record = made();
    record.takeDepth(bookAt(1), 0);
    const { generation } = record;
    for (let ts = 2; ts < 3 * PLACED_MAX; ts += 1) {
      record.takeTrades([trade(ts)], false);
      record.takeDepth(bookAt(ts), ts / 100);
    }
    expect(record.placed.length).toBeLessThanOrEqual(PLACED_MAX);
    expect(record.generation).toBeGreaterThan(generation);
  });

  it("does not smear a book over a time when nobody looked", () => {
    const record = made();
    record.takeDepth(bookAt(1, 1), 0);
    record.advance(50 * (UNSEEN_COLUMNS_MAX + 1), "moving");
    expect(sizes(record).filter((size) => size !== null)).toEqual([1]);
  });

  it("marks a new epoch of the same market by a gap, and begins anew where time has gone back", () => {
    const record = made();
    record.takeDepth(bookAt(100, 1), 0);
    record.reset();
    record.advance(20, "moving");
    record.takeDepth(bookAt(200, 2, { epoch: "other" }), 30);
    expect(sizes(record)).toEqual([1, ...Array<null>(GAP_COLUMNS_MIN).fill(null), 2]);
    record.reset();
    record.takeDepth(bookAt(50, 3), 60);
    expect(sizes(record)).toEqual([3]);
    record.takeDepth(bookAt(60, 4, { instrumentId: 2 }), 120);
    expect(sizes(record)).toEqual([4]);
  });

  it("stands still with a source that has ended, and with a held replay has a column for each step", () => {
    const record = made();
    record.takeDepth(bookAt(1, 1), 0);
    record.advance(1_000_000, "held");
    expect(record.columns.length).toBe(HELD_COLUMNS);
    record.takeDepth(bookAt(2, 2), 1_000_001);
    record.takeDepth(bookAt(3, 3), 1_000_002);
    expect(sizes(record).slice(-3)).toEqual([1, 2, 3]);
  });

  it("marks a book that the server doubts", () => {
    const record = made();
    record.takeDepth(bookAt(1, 1, { state: "suspect" }), 0);
    expect(record.columns.kind(record.columns.first)).toBe("suspect");
  });
});

describe("the heatmap's trades", () => {
  it("are in the first column whose book has them, whichever came first", () => {
    const record = made();
    record.takeDepth(bookAt(100), 0);
    record.takeTrades([trade(150)], false);
    expect(record.trades.length).toBe(0);
    record.takeDepth(bookAt(160), 50);
    record.takeDepth(bookAt(200), 100);
    record.takeTrades([trade(160), trade(170)], false);
    expect([...record.trades].map(({ column }) => column - record.columns.first)).toEqual([1, 1, 2]);
    expect(record.placed).toHaveLength(3);
  });

  it("of a snapshot are not told twice, and those before the first column not at all", () => {
    const record = made();
    record.takeDepth(bookAt(100), 0);
    record.takeTrades([trade(50), trade(99), trade(100)], true);
    expect(record.trades.length).toBe(1);
    record.takeDepth(bookAt(200), 50);
    record.takeTrades([trade(99), trade(100), trade(180)], true);
    expect(record.trades.length).toBe(2);
  });

  it("without a price are left out", () => {
    const record = made();
    record.takeDepth(bookAt(100), 0);
    record.takeTrades([trade(100, { price: null })], false);
    expect(record.trades.length).toBe(0);
  });
});
