import { describe, expect, it } from "vitest";
import type { Trade } from "../src/feed/feed";
import { FLOW_SECONDS, MinuteFlow } from "../src/tape-flow";
import { Prints, PRINTS_MAX, RecentSizes } from "../src/tape-prints";
import { continueRun } from "../src/trade-run";

function trade(sequence: number, changes: Partial<Trade> = {}): Trade {
  const ts = String(sequence * 1_000);
  return { tsEvent: ts, tsRecv: ts, price: "64.21", size: 3, side: "B", orderId: "0", sequence, ...changes };
}

describe("a run of trades", () => {
  it("goes on where a snapshot repeats its end", () => {
    const known = [trade(1), trade(2), trade(3)];
    expect(continueRun(known, [trade(2), trade(3), trade(4)])).toEqual({ fresh: [trade(4)], isWhole: true });
    expect(continueRun(known, known)).toEqual({ fresh: [], isWhole: true });
    expect(continueRun([], known)).toEqual({ fresh: known, isWhole: true });
    expect(continueRun(known, [])).toEqual({ fresh: [], isWhole: true });
  });

  it("has a hole where nothing is repeated", () => {
    expect(continueRun([trade(1)], [trade(5)])).toEqual({ fresh: [trade(5)], isWhole: false });
  });

  it("keeps trades that are equal in all they say", () => {
    const twins = [trade(1), trade(1)];
    expect(continueRun([trade(1)], [...twins, trade(2)]).fresh).toEqual([trade(1), trade(2)]);
  });
});

describe("prints", () => {
  it("put together what one order met at one price, and no more", () => {
    const prints = new Prints();
    const at = { tsEvent: "5" };
    const [first, second, elsewhere, sold, unknown] = [
      trade(1, at),
      trade(2, { ...at, size: 4 }),
      trade(3, { ...at, price: "64.22" }),
      trade(4, { ...at, price: "64.22", side: "A" }),
      trade(5, { ...at, price: "64.22", side: "N" }),
    ];
    prints.take([first, second, elsewhere], false);
    prints.take([sold, unknown, unknown], false);
    expect(prints.shown.map(({ size, trades }) => [size, trades])).toEqual([[7, 2], [3, 1], [3, 1], [3, 1], [3, 1]]);
    prints.setOptions({ isAggregated: false, sizeMin: 0 });
    expect(prints.shown).toHaveLength(6);
  });

  it("do not reach over a hole, and say where it is", () => {
    const prints = new Prints();
    prints.take([trade(1, { tsEvent: "5" })], false);
    prints.take([trade(2, { tsEvent: "5" })], true);
    expect(prints.shown.map(({ isAfterGap }) => isAfterGap)).toEqual([false, true]);
  });

  it("are left out below the size that the reader wants, as a whole", () => {
    const prints = new Prints();
    prints.setOptions({ isAggregated: true, sizeMin: 6 });
    prints.take([trade(1, { tsEvent: "5" }), trade(2, { tsEvent: "5" }), trade(3)], false);
    expect(prints.shown.map(({ size }) => size)).toEqual([6]);
  });

  it("have recorded ones put in front of them", () => {
    const prints = new Prints();
    prints.take([trade(50, { tsEvent: "9" }), trade(51)], false);
    prints.takeBefore([trade(1, { tsEvent: "5" }), trade(2, { tsEvent: "5" }), trade(49, { tsEvent: "9" })]);
    expect(prints.shown.map(({ size, isRecorded }) => [size, isRecorded])).toEqual([[6, true], [3, true], [3, false], [3, false]]);
    const ids = prints.shown.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    prints.setOptions({ isAggregated: false, sizeMin: 0 });
    expect(prints.shown.map(({ isRecorded }) => isRecorded)).toEqual([true, true, true, false, false]);
    prints.take([trade(52)], false);
    expect(prints.shown).toHaveLength(6);
  });

  it("are bounded", () => {
    const prints = new Prints();
    for (let sequence = 1; sequence <= 5_000; sequence += 1) prints.take([trade(sequence)], false);
    expect(prints.shown.length).toBeLessThanOrEqual(2 * PRINTS_MAX);
    expect(prints.kept).toBeLessThanOrEqual(2 * PRINTS_MAX);
    expect(prints.shown.at(-1)?.trade.sequence).toBe(5_000);
  });

  it("are large beside those before them, and not where all are alike", () => {
    const alike = new RecentSizes();
    for (let at = 0; at < 100; at += 1) alike.push(5);
    expect(alike.largeFrom).toBeGreaterThan(5);
    const prints = new Prints();
    prints.take(Array.from({ length: 100 }, (_, at) => trade(at + 1, { size: 1 + (at % 20) })), false);
    prints.take([trade(200, { size: 100 }), trade(201, { size: 10 })], false);
    expect(prints.shown.slice(-2).map(({ isLarge }) => isLarge)).toEqual([true, false]);
    expect(prints.shown.slice(0, 10).some(({ isLarge }) => isLarge)).toBe(false);
  });
});

describe("the flow of the last minute", () => {
  const at = (second: number, changes: Partial<Trade> = {}): Trade => trade(1, { tsRecv: String(second * 1e9), ...changes });

  it("is what was bought and sold in the market's time", () => {
    const flow = new MinuteFlow();
    flow.take([at(100, { size: 5 }), at(100, { size: 2, side: "A" }), at(130, { size: 1, side: "N" })]);
    expect(flow.upTo(String(130e9))).toEqual({ bought: 5, sold: 2, volume: 8, trades: 3 });
    expect(flow.upTo(String((99 + FLOW_SECONDS) * 1e9)).bought).toBe(5);
    expect(flow.upTo(String((100 + FLOW_SECONDS) * 1e9))).toEqual({ bought: 0, sold: 0, volume: 1, trades: 1 });
  });

  it("takes what was before, and says from when on it has to be known", () => {
    const flow = new MinuteFlow();
    flow.take([at(130)]);
    flow.take([at(70), at(71, { size: 5 }), at(129)]);
    expect(flow.upTo(String(130e9))).toEqual({ bought: 11, sold: 0, volume: 11, trades: 3 });
    expect(flow.startOf(String(130.5e9))).toBe(BigInt(71e9));
  });

  it("forgets by buckets, and counts nothing that is older than the newest minute", () => {
    const flow = new MinuteFlow();
    flow.take([at(10), at(10 + FLOW_SECONDS, { size: 7 }), at(10, { size: 1_000 })]);
    expect(flow.upTo("0")).toEqual({ bought: 7, sold: 0, volume: 7, trades: 1 });
    flow.clear();
    expect(flow.upTo("0").trades).toBe(0);
  });
});
