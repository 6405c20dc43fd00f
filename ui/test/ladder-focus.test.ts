import { describe, expect, it } from "vitest";
import type { Level } from "../src/feed/wire";
import { awayFrom } from "../src/panes/ladder-away";
import { bestsOf, centreWords, LadderFocus, type FocusOn } from "../src/panes/ladder-focus";

const CENT = 10_000_000n;
const level = (price: string): Level => ({ price, size: 1, count: 1, queue: [] });
const book = (bid: string | null, ask: string | null): { bids: Level[]; asks: Level[] } => {
  return { bids: bid === null ? [] : [level(bid)], asks: ask === null ? [] : [level(ask)] };
};

function looking(focus: LadderFocus, bid: string | null, ask: string | null, lastTrade: string | null = null): [FocusOn?, bigint?] {
  focus.take(book(bid, ask), { step: CENT, rows: 21 }, lastTrade);
  return focus.current === null ? [] : [focus.current.on, focus.current.units / CENT];
}

describe("what the ladder is centred on", () => {
  it("is the middle while the rows hold both best prices, crossed or not", () => {
    const focus = new LadderFocus();
    expect(looking(focus, "64.20", "64.22")).toEqual(["middle", 6421n]);
    expect(looking(focus, "64.20", "64.38", "64.30")).toEqual(["middle", 6429n]);
    expect(looking(focus, "64.38", "64.20")).toEqual(["middle", 6429n]);
    expect([focus.current?.within, focus.next]).toEqual([[6420n, 6438n], null]);
  });

  it("is the last trade where they are further apart, or else the best bid, and never a price between that nobody named", () => {
    expect(looking(new LadderFocus(), "105.00", "95.00", "99.80")).toEqual(["trade", 9980n]);
    expect(looking(new LadderFocus(), "105.00", "95.00")).toEqual(["bid", 10500n]);
    expect(looking(new LadderFocus(), "95.00", "105.00")).toEqual(["bid", 9500n]);
  });

  it("goes in turn to each of them, and stays with the one chosen", () => {
    const focus = new LadderFocus();
    const seen = [looking(focus, "105.00", "95.00", "99.80")[0]];
    for (let turn = 0; turn < 3; turn += 1) {
      focus.turn();
      seen.push(looking(focus, "105.01", "95.00", "99.80")[0]);
    }
    expect(seen).toEqual(["trade", "bid", "ask", "trade"]);
    focus.lookAt("ask");
    expect(looking(focus, "105.01", "94.99", "99.80")).toEqual(["ask", 9499n]);
    expect(focus.next?.on).toBe("trade");
  });

  it("is the middle again once they are well within the rows, and does not flicker about the edge", () => {
    const focus = new LadderFocus();
    expect(looking(focus, "64.00", "64.19")[0]).toBe("bid");
    expect(looking(focus, "64.00", "64.18")[0]).toBe("bid");
    expect(looking(focus, "64.00", "64.14")[0]).toBe("middle");
    expect(looking(focus, "64.00", "64.18")[0]).toBe("middle");
  });

  it("is the only side there is, and nothing where there is none", () => {
    expect(looking(new LadderFocus(), null, "64.20")).toEqual(["middle", 6420n]);
    expect(looking(new LadderFocus(), null, null, "64.20")).toEqual([]);
    expect(bestsOf(book("1.00", "2.00"), 0n)).toEqual([]);
  });

  it("knows in which rows the best prices are, where a row has several ticks", () => {
    expect(bestsOf(book("64.21", "64.22"), 5n * CENT)).toEqual([
      { side: "ask", price: "64.22", row: 1285n },
      { side: "bid", price: "64.21", row: 1284n },
    ]);
  });
});

describe("the signs at the ladder's edges", () => {
  const away = (bid: string | null, ask: string | null, top: bigint): (string | null)[] => {
    const { above, below } = awayFrom(bestsOf(book(bid, ask), CENT), { top, rows: 21 });
    return [above?.text ?? null, below?.text ?? null];
  };

  it("name the best price that is beyond, or the market where it is all beyond", () => {
    expect(away("64.20", "64.22", 6430n)).toEqual([null, null]);
    expect(away("64.20", "64.22", 6421n)).toEqual(["▲ best ask 64.22", null]);
    expect(away("64.20", "64.22", 6400n)).toEqual(["▲ market at 64.20", null]);
    expect(away("64.20", "64.22", 6500n)).toEqual([null, "▼ market at 64.22"]);
    expect(away("105.00", "95.00", 10000n)).toEqual(["▲ best bid 105.00", "▼ best ask 95.00"]);
    expect(away(null, "95.00", 10000n)).toEqual([null, "▼ market at 95.00"]);
    expect(away(null, "-0.25", 10000n)).toEqual([null, "▼ market at −0.25"]);
  });

  it("and the button says what is in the centre, where there is more than one place", () => {
    const focus = new LadderFocus();
    looking(focus, "64.20", "64.22");
    expect(centreWords(focus.current, focus.next)[0]).toBe("Centre");
    looking(focus, "105.00", "95.00", "99.80");
    expect(centreWords(focus.current, focus.next)).toEqual(["Centre: trade", expect.stringContaining("next the best bid (C)")]);
  });
});
