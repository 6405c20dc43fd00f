import { describe, expect, it } from "vitest";
import type { Trade } from "../src/feed/feed";
import type { Book } from "../src/feed/wire";
import { DISORDER_NS, HeatmapRecord, HELD_NS, PLACED_MAX, UNSEEN_MS, type MarketTime } from "../src/heatmap-record";
import { book, level } from "./fixtures";

const START = 1_758_751_200_000_000_000n;
const LIVE: MarketTime = { flow: "moving", paceMax: 1, told: null };
const CUT: MarketTime = { ...LIVE, flow: "cut" };
const HELD: MarketTime = { ...LIVE, flow: "held" };

const ns = (ms: number): string => String(START + BigInt(Math.round(ms * 1e6)));

function bookAt(ms: number, size = 5, changes: Partial<Book> = {}): Book {
  return book({ tsRecv: ns(ms), bids: [level("64.77", size)], ...changes });
}

function trade(ms: number, changes: Partial<Trade> = {}): Trade {
  return { tsEvent: ns(ms), tsRecv: ns(ms), price: "64.77", size: 2, side: "A", orderId: "0", sequence: ms, ...changes };
}

/** Each column by the ms at which it begins, and what it knows. */
function told({ columns }: HeatmapRecord): (readonly [ms: number, size: number | null])[] {
  return Array.from({ length: columns.length }, (_, place) => {
    const column = columns.first + place;
    return [Math.round(columns.at(column) / 1e6), columns.level(column, "B", 0)?.size ?? null] as const;
  });
}

const untilMs = ({ columns }: HeatmapRecord): number => Math.round(columns.until / 1e6);
const made = (): HeatmapRecord => new HeatmapRecord(() => undefined);

describe("what the heatmap keeps", () => {
  it("is each book from its own time on, however late it comes, and of several at one time the last", () => {
    const record = made();
    record.takeDepth(bookAt(0, 1), true, 1_000);
    // A slow line: nothing for a second, and then all at once.
    for (const ms of [50, 100, 900]) record.takeDepth(bookAt(ms, ms), false, 2_000);
    record.takeDepth(bookAt(900, 7), false, 2_001);
    expect(told(record)).toEqual([[0, 1], [50, 50], [100, 100], [900, 7]]);
    expect(record.columns.tsRecv(record.columns.first + 1)).toBe(START + 50_000_000n);
    expect(untilMs(record)).toBe(900);
  });

  it("is no book in which nothing has happened yet: it has no time", () => {
    const record = made();
    record.takeDepth(book({ tsRecv: "0", bids: [], asks: [] }), true, 0);
    record.advance(1_000, LIVE);
    expect(record.columns.length).toBe(0);
    record.takeDepth(bookAt(0, 1), false, 1_500);
    expect(told(record)).toEqual([[0, 1]]);
  });

  it.each([0.1, 1, 10, 100, 1_000])("lies as far apart at %d times the speed as it happened", (speed) => {
    const record = made();
    const places: number[] = [];
    for (let step = 0; step < 100; step += 1) {
      const [ms, pageMs] = [step * 50 * speed, step * 50 + (step % 3) * 20];
      record.advance(pageMs, { flow: "moving", paceMax: speed, told: null });
      record.takeDepth(bookAt(ms), step === 0, pageMs);
      places.push(ms);
    }
    expect(told(record).map(([ms]) => ms)).toEqual(places.map(Math.round));
    record.advance(5_000, { flow: "moving", paceMax: speed, told: null });
    expect(record.pace / speed).toBeCloseTo(1, 1);
  });

  it("goes on with the time of a live market in which nothing happens, and is not ahead of one that goes slowly", () => {
    const [quiet, slow] = [made(), made()];
    quiet.takeDepth(bookAt(0), true, 0);
    for (let ms = 500; ms <= 60_000; ms += 500) quiet.advance(ms, LIVE);
    expect([told(quiet).length, untilMs(quiet)]).toEqual([1, 59_750]);
    quiet.takeDepth(bookAt(60_400, 2), false, 60_500);
    expect([told(quiet).at(-1), untilMs(quiet)]).toEqual([[60_400, 2], 60_400]);
    for (let ms = 0; ms <= 5_000; ms += 100) slow.takeDepth(bookAt(ms / 50), ms === 0, ms);
    for (let ms = 5_000; ms <= 6_000; ms += 500) slow.advance(ms, LIVE);
    expect(untilMs(slow)).toBe(115);
  });

  it("follows a replay by what it says of itself, also where no book changes", () => {
    const record = made();
    const at = (ms: number, speed = 10): MarketTime => ({ flow: "moving", paceMax: speed, told: ns(ms) });
    record.advance(0, at(0));
    record.takeDepth(bookAt(0), true, 0);
    for (let second = 1; second < 8; second += 1) record.advance(second * 1_000, at(second * 10_000));
    expect([told(record).length, untilMs(record)]).toEqual([1, 70_000]);
    record.advance(7_000, { ...at(70_000), flow: "held" });
    record.advance(20_000, { ...at(70_000), flow: "held" });
    expect(untilMs(record)).toBe(70_000);
    // Slower from here on: the time before says nothing of how fast.
    record.advance(21_000, at(70_000, 0.1));
    expect([untilMs(record), record.pace]).toEqual([70_000, 0.1]);
    record.advance(22_000, at(70_100, 0.1));
    expect(untilMs(record)).toBe(70_100);
  });

  it("knows nothing of the time without a connection, as long as that was", () => {
    const record = made();
    record.takeDepth(bookAt(0, 1), true, 0);
    record.advance(100, CUT);
    record.advance(3_600_100, CUT);
    record.advance(3_600_200, LIVE);
    expect([told(record), Math.round(untilMs(record) / 1_000)]).toEqual([[[0, 1], [0, null]], 3_600]);
    record.takeDepth(bookAt(3_599_000, 2), true, 3_600_300);
    expect(told(record)).toEqual([[0, 1], [0, null], [3_599_000, 2]]);
  });

  it("does not smear a book over a time when nobody looked", () => {
    const record = made();
    record.takeDepth(bookAt(0, 1), true, 0);
    record.advance(500, LIVE);
    record.advance(500 + UNSEEN_MS + 1, LIVE);
    expect(told(record)).toEqual([[0, 1], [250, null]]);
  });

  it("has a gap before a new epoch of the same market, and begins anew where time has gone back, or for another book", () => {
    const record = made();
    record.takeDepth(bookAt(100, 1), true, 0);
    record.reset();
    record.advance(20, LIVE);
    record.takeDepth(bookAt(200, 2, { epoch: "other" }), true, 30);
    expect(told(record)).toEqual([[0, 1], [0, null], [100, 2]]);
    record.reset();
    record.takeDepth(bookAt(50, 3), true, 60);
    expect(told(record)).toEqual([[0, 3]]);
    record.takeDepth(bookAt(60, 4, { instrumentId: 2 }), true, 120);
    expect(told(record)).toEqual([[0, 4]]);
  });

  it("takes a clock that goes back a little for one that stands, and begins anew with one that goes back far", () => {
    const record = made();
    record.takeDepth(bookAt(0, 1), true, 0);
    record.takeDepth(bookAt(2_000, 2), false, 2_000);
    record.takeDepth(bookAt(1_500, 3), false, 2_050);
    expect(told(record)).toEqual([[0, 1], [2_000, 3]]);
    record.takeDepth(bookAt(2_000 - DISORDER_NS / 1e6 - 1, 4), false, 2_100);
    expect(told(record)).toEqual([[0, 4]]);
  });

  it("keeps what was before the moment that a reader goes back to, and nothing after it, nor of another time", () => {
    const record = made();
    for (let ms = 0; ms <= 1_000; ms += 100) {
      record.takeDepth(bookAt(ms, ms), ms === 0, ms);
      record.takeTrades([trade(ms)], false);
    }
    record.move(1_000);
    record.advance(1_010, { flow: "held", paceMax: 1, told: ns(700) });
    expect(told(record)).toHaveLength(11);
    record.takeDepth(bookAt(700, 77), true, 1_020);
    record.takeTrades([trade(500), trade(700)], true);
    expect([told(record).length, told(record).at(-1)]).toEqual([8, [700, 77]]);
    expect([...record.trades].map(({ at }) => at / 1e6)).toEqual([0, 100, 200, 300, 400, 500, 600, 700]);
    // On, but not through what lies between.
    record.move(1_100);
    record.takeDepth(bookAt(1_700, 5), true, 1_120);
    expect(told(record)).toEqual([[0, 5]]);
    record.move(2_000);
    record.advance(3_001, HELD);
    expect(told(record)).toEqual([]);
  });

  it("stands still with a source that has ended or a replay that is held, each step at its own time", () => {
    const record = made();
    record.takeDepth(bookAt(0, 1), true, 0);
    record.advance(1_000_000, HELD);
    expect([told(record), columnsUntil(record)]).toEqual([[[0, 1]], HELD_NS]);
    record.takeDepth(bookAt(3, 2), false, 1_000_001);
    record.takeDepth(bookAt(40, 3), false, 1_000_002);
    record.advance(1_000_003, HELD);
    expect([told(record), columnsUntil(record)]).toEqual([[[0, 1], [3, 2], [40, 3]], HELD_NS]);
  });

  it("marks a book that the server doubts", () => {
    const record = made();
    record.takeDepth(bookAt(1, 1, { state: "suspect" }), true, 0);
    expect(record.columns.kind(record.columns.first)).toBe("suspect");
  });

  it("keeps a bounded number of trades for a pane that does not look, and has it begin anew", () => {
    const record = made();
    record.takeDepth(bookAt(0), true, 0);
    const { generation } = record;
    for (let ms = 1; ms < 3 * PLACED_MAX; ms += 1) record.takeTrades([trade(ms)], false);
    expect(record.placed.length).toBeLessThanOrEqual(PLACED_MAX);
    expect(record.generation).toBeGreaterThan(generation);
  });
});

function columnsUntil({ columns }: HeatmapRecord): number {
  return columns.until;
}

describe("the heatmap's trades", () => {
  const places = (record: HeatmapRecord): number[] => [...record.trades].map(({ at }) => Math.round(at / 1e6));

  it("stand at their own time, whichever came first, and wait for a first book", () => {
    const record = made();
    record.takeTrades([trade(150)], false);
    expect(record.trades.length).toBe(0);
    record.takeDepth(bookAt(100), true, 0);
    record.takeTrades([trade(160), trade(170)], false);
    record.takeDepth(bookAt(200), false, 100);
    expect(places(record)).toEqual([50, 60, 70]);
    expect(record.placed).toHaveLength(3);
  });

  it("of a snapshot are not told twice, and those before the first column not at all", () => {
    const record = made();
    record.takeDepth(bookAt(100), true, 0);
    record.takeTrades([trade(50), trade(99), trade(100)], true);
    expect(places(record)).toEqual([0]);
    record.takeDepth(bookAt(200), false, 50);
    record.takeTrades([trade(99), trade(100), trade(180)], true);
    expect(places(record)).toEqual([0, 80]);
  });

  it("without a price are left out", () => {
    const record = made();
    record.takeDepth(bookAt(100), true, 0);
    record.takeTrades([trade(100, { price: null })], false);
    expect(record.trades.length).toBe(0);
  });
});

describe("trades recorded before a time gone to", () => {
  const second = (count: number): number => Number(START / 1_000_000_000n) + count;
  const steps = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => ({ from: second(from + at), bids: [level("64.77", 1)], asks: [] }));
  const beforeOf = (sinceMs: number, ...atMs: number[]) => ({ sinceNs: BigInt(ns(sinceMs)), trades: atMs.map((ms) => trade(ms)) });
  const placed = ({ trades }: HeatmapRecord): number[] => [...trades].map(({ at }) => Math.round(at / 1e6));

  it("are placed where there are columns for them, each once, and in order", () => {
    const record = made();
    record.takeDepth(bookAt(0), true, 0);
    record.takeTrades([trade(20)], false);
    record.takeTradesBefore(beforeOf(-60_000, -50_000, -9_000, -500, 0));
    expect(placed(record)).toEqual([0, 20]);
    record.prepend(steps(-10, 0), 1);
    expect(placed(record)).toEqual([-9_000, -500, 0, 20]);
    record.prepend(steps(-60, -10), 1);
    expect(placed(record)).toEqual([-50_000, -9_000, -500, 0, 20]);
    record.takeTrades([trade(40, { price: "64.775" })], false);
    const [oldest, newest] = [[...record.trades][0], [...record.trades].at(-1)];
    expect([record.columns.grid.price(oldest?.ticks ?? 0), record.columns.grid.price(newest?.ticks ?? 0)]).toEqual(["64.770", "64.775"]);
  });

  it("are those of the place, after a step back too", () => {
    const record = made();
    record.takeDepth(bookAt(0), true, 0);
    record.prepend(steps(-10, 0), 1);
    record.takeTradesBefore(beforeOf(-60_000, -9_000, 0));
    record.takeDepth(bookAt(100), false, 100);
    record.takeTrades([trade(50), trade(100)], false);
    record.move(200);
    record.takeDepth(bookAt(60), true, 210);
    expect(placed(record)).toEqual([-9_000, 0, 50]);
    record.takeTradesBefore(beforeOf(-59_940, -9_000, 0, 50));
    expect(placed(record)).toEqual([-9_000, 0, 50]);
    // Another time of which nothing was on view.
    record.move(300);
    record.takeDepth(bookAt(-100_000), true, 310);
    expect(placed(record)).toEqual([]);
  });
});
