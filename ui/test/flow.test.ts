import { beforeEach, describe, expect, it } from "vitest";
import { parseDecimal } from "../src/decimal";
import type { Level } from "../src/feed/wire";
import { Flow, FLOW_WINDOW_S, type Traded } from "../src/flow";
import { level } from "./fixtures";

const LEVELS_MAX = 3;

describe("what was done at each price", () => {
  let flow: Flow;
  beforeEach(() => {
    flow = new Flow();
  });

  const ns = (seconds: number): string => String(BigInt(Math.round(seconds * 1_000)) * 1_000_000n);
  const depth = (seconds: number, bids: Level[], asks: Level[], isSnapshot = false): void => {
    flow.takeDepth({ bids, asks, tsRecv: ns(seconds), levelsMax: LEVELS_MAX }, isSnapshot);
  };
  const trade = (seconds: number, side: Traded["side"], price: string | null, size: number): Traded => ({ tsRecv: ns(seconds), side, price, size });
  const bidNet = (price: string): number => flow.bidNets.get(parseDecimal(price)) ?? 0;
  const askNet = (price: string): number => flow.askNets.get(parseDecimal(price)) ?? 0;
  const traded = (price: string): unknown => flow.traded.get(parseDecimal(price));

  it("takes a smaller size for pulled, unless trades explain it", () => {
    depth(1, [level("10.00", 9)], [level("10.01", 8)]);
    flow.takeTrades([trade(2, "A", "10.00", 4)], false);
    depth(2, [level("10.00", 3)], [level("10.01", 6)]);
    expect(traded("10.00")).toEqual({ sold: 4, bought: 0, unknown: 0 });
    expect(bidNet("10.00")).toBe(-2);
    expect(askNet("10.01")).toBe(-2);
  });

  it("is over after half a minute in which nothing happens, too", () => {
    depth(1, [level("10.00", 9)], []);
    depth(2, [level("10.00", 3)], []);
    flow.expire(BigInt(ns(1 + FLOW_WINDOW_S)));
    expect(bidNet("10.00")).toBe(-6);
    flow.expire(BigInt(ns(2 + FLOW_WINDOW_S)));
    expect(bidNet("10.00")).toBe(0);
    // Where the time shown was too late, as just after a jump back, what comes is counted in its own.
    depth(3, [level("10.00", 4)], []);
    flow.expire(BigInt(ns(3)));
    expect(bidNet("10.00")).toBe(1);
    depth(3 + FLOW_WINDOW_S, [level("10.00", 4)], []);
    expect(bidNet("10.00")).toBe(0);
  });

  it("comes to the same when the trade is told after the book that it led to", () => {
    depth(1, [], [level("10.01", 8)]);
    depth(2, [], [level("10.01", 5)]);
    expect(askNet("10.01")).toBe(-3);
    flow.takeTrades([trade(2, "B", "10.01", 3)], false);
    expect(askNet("10.01")).toBe(0);
    expect(flow.askNets.size).toBe(0);
  });

  it("counts what an iceberg shows anew as stacked", () => {
    depth(1, [], [level("10.01", 5)]);
    flow.takeTrades([trade(2, "B", "10.01", 5)], false);
    depth(2, [], [level("10.01", 5)]);
    expect(askNet("10.01")).toBe(5);
  });

  it("follows levels that come and go as a whole", () => {
    depth(1, [level("10.00", 5)], []);
    depth(2, [level("9.99", 2)], []);
    expect([bidNet("10.00"), bidNet("9.99")]).toEqual([-5, 2]);
  });

  it("does not take a level for pulled that better ones pushed out of view, nor one for stacked that came back", () => {
    const whole = [level("10.00", 1), level("9.99", 2), level("9.98", 3)];
    depth(1, whole, []);
    depth(2, [level("10.01", 7), level("10.00", 1), level("9.99", 2)], []);
    expect([bidNet("10.01"), bidNet("9.98")]).toEqual([7, 0]);
    depth(3, whole, []);
    expect([bidNet("10.01"), bidNet("9.98")]).toEqual([0, 0]);
  });

  it("takes one for pulled that has gone from within the view", () => {
    depth(1, [level("10.00", 1), level("9.99", 2), level("9.98", 3)], []);
    depth(2, [level("10.00", 1), level("9.98", 3), level("9.97", 9)], []);
    expect([bidNet("9.99"), bidNet("9.97")]).toEqual([-2, 0]);
  });

  it("counts nothing across a snapshot", () => {
    depth(1, [level("10.00", 5)], []);
    depth(2, [level("10.00", 500)], [], true);
    expect(bidNet("10.00")).toBe(0);
    flow.takeTrades([trade(1.5, "A", "10.00", 3)], false);
    expect(traded("10.00")).toEqual({ sold: 3, bought: 0, unknown: 0 });
    expect(bidNet("10.00")).toBe(0);
  });

  it("forgets what was pulled and stacked after its time, and keeps what was traded", () => {
    depth(1, [level("10.00", 5)], []);
    flow.takeTrades([trade(2, "A", "10.00", 1)], false);
    depth(2, [level("10.00", 9)], []);
    depth(20, [level("10.00", 7)], []);
    expect(bidNet("10.00")).toBe(3);
    depth(2 + FLOW_WINDOW_S, [level("10.00", 7)], []);
    expect(bidNet("10.00")).toBe(-2);
    depth(20 + FLOW_WINDOW_S, [level("10.00", 7)], []);
    expect(bidNet("10.00")).toBe(0);
    expect(traded("10.00")).toEqual({ sold: 1, bought: 0, unknown: 0 });
  });

  it("begins with the first book: trades from before are not counted, and none twice", () => {
    flow.takeTrades([trade(0.5, "B", "10.01", 50)], true);
    depth(1, [], [level("10.01", 8)], true);
    flow.takeTrades([trade(0.5, "B", "10.01", 50), trade(2, "B", "10.01", 1)], true);
    flow.takeTrades([trade(3, "B", "10.01", 2)], false);
    // After a gap the server tells the last ones again.
    flow.takeTrades([trade(2, "B", "10.01", 1), trade(3, "B", "10.01", 2), trade(4, "B", "10.01", 4)], true);
    expect(traded("10.01")).toEqual({ sold: 0, bought: 7, unknown: 0 });
  });

  it("asks the quotes where the venue does not say who came", () => {
    depth(1, [level("10.00", 5)], [level("10.02", 5)]);
    flow.takeTrades([trade(2, "N", "10.00", 1), trade(2, "N", "10.02", 2), trade(2, "N", "10.01", 4), trade(2, "N", null, 8)], false);
    expect(traded("10.00")).toEqual({ sold: 1, bought: 0, unknown: 0 });
    expect(traded("10.02")).toEqual({ sold: 0, bought: 2, unknown: 0 });
    expect(traded("10.01")).toEqual({ sold: 0, bought: 0, unknown: 4 });
    expect(flow.traded.size).toBe(3);
  });

  it("takes what was recorded before its first book for traded, and for nothing else", () => {
    const before = [trade(0.5, "A", "10.00", 4), trade(0.9, "N", "10.00", 2), trade(1, "B", null, 8)];
    depth(1, [level("10.00", 5)], []);
    flow.takeTrades([trade(2, "A", "10.00", 1)], false);
    depth(2, [level("10.00", 4)], []);
    flow.takeTradesBefore(before, BigInt(ns(0.5)));
    expect([flow.since, flow.traded.size, flow.bidNets.size]).toEqual([ns(0.5), 1, 0]);
    expect(traded("10.00")).toEqual({ sold: 5, bought: 0, unknown: 2 });
    // Where the reader has begun to count anew, it is of before that.
    flow.clear();
    flow.takeTradesBefore(before, BigInt(ns(0.5)));
    expect([flow.since, flow.traded.size]).toEqual([ns(2), 0]);
  });

  it("begins anew when told to, from the book as it is", () => {
    depth(1, [level("10.00", 5)], []);
    expect(flow.since).toBe(ns(1));
    flow.takeTrades([trade(2, "A", "10.00", 1)], false);
    depth(2, [level("10.00", 9)], []);
    flow.clear();
    expect([flow.traded.size, flow.bidNets.size, flow.since]).toEqual([0, 0, ns(2)]);
    depth(3, [level("10.00", 8)], []);
    expect(bidNet("10.00")).toBe(-1);
    flow.forget();
    expect(flow.since).toBeNull();
    depth(1, [level("10.00", 100)], []);
    expect(bidNet("10.00")).toBe(0);
  });
});
