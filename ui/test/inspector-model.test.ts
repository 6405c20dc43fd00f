import { describe, expect, it } from "vitest";
import type { Level, QueueEntry } from "../src/feed/wire";
import { AskTimes, locate } from "../src/panes/inspector-model";

function queued(price: string, ...orders: (readonly [string, number])[]): Level {
  const queue = orders.map(([id, size], place): QueueEntry => [id, size, String(place)]);
  return { price, size: orders.reduce((sum, [, size]) => sum + size, 0), count: orders.length, queue };
}

describe("where an order stands", () => {
  const bids = [queued("10.00", ["1", 5], ["2", 3], ["3", 2]), queued("9.99", ["4", 1])];
  const asks = [queued("10.01", ["5", 7])];

  it("is told at the front, in the middle, and at the back of its queue", () => {
    expect(locate({ bids, asks }, "1", null)?.place).toEqual({ tsEvent: "0", ordersAhead: 0, sizeAhead: 0, ordersBehind: 2, sizeBehind: 5 });
    expect(locate({ bids, asks }, "2", null)?.place).toEqual({ tsEvent: "1", ordersAhead: 1, sizeAhead: 5, ordersBehind: 1, sizeBehind: 2 });
    const back = locate({ bids, asks }, "3", null);
    expect(back).toMatchObject({ side: "B", price: "10.00", size: 2, place: { ordersAhead: 2, sizeAhead: 8, ordersBehind: 0 } });
    expect(back?.ahead.map(([id]) => id)).toEqual(["1", "2"]);
    expect(locate({ bids, asks }, "5", null)).toMatchObject({ side: "A", price: "10.01" });
    expect(locate({ bids, asks }, "9", null)).toBeNull();
  });

  it("is the same as long as the book has the same level", () => {
    const before = locate({ bids, asks }, "2", null);
    expect(locate({ bids: [...bids], asks: [] }, "2", before)).toBe(before);
  });

  it("is found again where it has moved, to another price or to the other side", () => {
    const before = locate({ bids, asks }, "2", null);
    const moved = [queued("10.00", ["1", 5]), queued("9.99", ["4", 1], ["2", 3])];
    expect(locate({ bids: moved, asks }, "2", before)).toMatchObject({ price: "9.99", place: { ordersAhead: 1 } });
    expect(locate({ bids: [], asks: [queued("10.01", ["2", 3])] }, "2", before)).toMatchObject({ side: "A" });
    expect(locate({ bids: [bids[1] ?? queued("9.99")], asks }, "2", before)).toBeNull();
  });

  it("is where it was while its level carries no queue, and not when that is gone", () => {
    const before = locate({ bids, asks }, "2", null);
    const bare = bids.map((level) => ({ ...level, queue: [] }));
    expect(locate({ bids: bare, asks }, "2", before)).toBe(before);
    expect(locate({ bids: bare.slice(1), asks }, "2", before)).toBeNull();
    expect(locate({ bids: bare, asks }, "2", null)).toBeNull();
  });
});

describe("when the server is asked about an order", () => {
  it("is at once, and once at a time", () => {
    const times = new AskTimes();
    expect(times.take(0)).toBe(false);
    times.begin(0);
    expect(times.take(0)).toBe(true);
    expect(times.take(10_000)).toBe(false);
    times.answered(10_000, { failed: false, again: false, missed: false });
    expect(times.take(99_000)).toBe(false);
  });

  it("is once more when the record of a change has followed, also of one that came during a question", () => {
    const times = new AskTimes();
    times.begin(0);
    times.take(0);
    times.changed(100);
    expect(times.take(100)).toBe(false);
    times.answered(200, { failed: false, again: false, missed: false });
    expect(times.take(1_000)).toBe(false);
    expect(times.take(1_300)).toBe(true);
  });

  it("is every two seconds in a past that plays, and soon where it stands still", () => {
    const times = new AskTimes();
    let asked = 0;
    const watch = (fromMs: number, toMs: number, state: "playing" | "paused"): void => {
      for (let nowMs = fromMs; nowMs < toMs; nowMs += 100) {
        times.moved(nowMs, state === "playing");
        if (!times.take(nowMs)) continue;
        times.answered(nowMs, { failed: false, again: false, missed: false });
        asked += 1;
      }
    };
    watch(0, 10_000, "playing");
    expect(asked).toBe(4);
    watch(10_000, 10_400, "paused");
    expect(asked).toBe(5);
  });

  it("is again and again where nothing else tells, and after a failure", () => {
    const times = new AskTimes();
    times.begin(0);
    times.take(0);
    times.answered(0, { failed: false, again: true, missed: false });
    expect(times.take(1_999)).toBe(false);
    expect(times.take(2_000)).toBe(true);
    times.answered(2_000, { failed: true, again: false, missed: false });
    expect(times.take(4_999)).toBe(false);
    expect(times.take(5_000)).toBe(true);
    times.stop();
    expect(times.take(99_000)).toBe(false);
  });

  it("is ever more rarely of one that the server does not know, until the time stands still or it is asked for anew", () => {
    const times = new AskTimes();
    const asked: number[] = [];
    const watch = (fromMs: number, toMs: number, state: "playing" | "paused", missed: boolean): void => {
      for (let nowMs = fromMs; nowMs < toMs; nowMs += 100) {
        times.moved(nowMs, state === "playing");
        if (!times.take(nowMs)) continue;
        asked.push(nowMs);
        times.answered(nowMs, { failed: false, again: false, missed });
      }
    };
    times.begin(0);
    watch(0, 40_000, "playing", true);
    expect(asked).toEqual([0, 4_100, 12_200, 28_300]);
    expect(times.isMissing).toBe(true);
    watch(40_000, 40_400, "paused", true);
    expect(asked.at(-1)).toBe(40_300);
    times.begin(50_000);
    expect(times.isMissing).toBe(false);
    watch(50_000, 52_500, "playing", false);
    expect(asked.slice(5)).toEqual([50_000, 52_100]);
  });

  it("is once of one that the server does not know now", () => {
    const times = new AskTimes();
    times.begin(0);
    times.take(0);
    times.answered(100, { failed: false, again: false, missed: true });
    expect([times.take(999_000), times.isMissing]).toEqual([false, true]);
    times.changed(999_000);
    times.take(1_001_000);
    times.answered(1_001_000, { failed: true, again: false, missed: false });
    expect([times.isMissing, times.take(1_004_000)]).toEqual([true, true]);
  });
});
