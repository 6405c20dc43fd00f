import { describe, expect, it } from "vitest";
import type { Instrument } from "../src/feed/wire";
import { searchInstruments, SHOWN_MAX } from "../src/search";

function instrument(symbol: string | null, instrumentId: number, state: Instrument["state"] = "live"): Instrument {
  return { symbol, instrumentId, publisherId: 1, state, seq: 1, orders: 1 };
}

const SOME = [instrument("NQZ5", 7), instrument("ESZ5", 5, "suspect"), instrument("MESZ5", 6), instrument("ES", 9), instrument(null, 55)];

function names(typed: string): (string | null)[] {
  return searchInstruments(SOME, typed).shown.map(({ symbol }) => symbol);
}

describe("the search for instruments", () => {
  it("has all of them in the server's order until something is typed", () => {
    expect(names("  ")).toEqual(["NQZ5", "ESZ5", "MESZ5", "ES", null]);
  });

  it("has the whole name first, then what begins so, then what contains it, then keys", () => {
    expect(names("es")).toEqual(["ES", "ESZ5", "MESZ5"]);
    expect(names("1:5")).toEqual(["ESZ5", null]);
    expect(names("1:9")).toEqual(["ES"]);
  });

  it("takes words in any order, and states", () => {
    expect(names("z5 m")).toEqual(["MESZ5"]);
    expect(names("sus es")).toEqual(["ESZ5"]);
    expect(names("es nothing")).toEqual([]);
  });

  it("shows no more than can be read, and says how many there are beyond", () => {
    const many = Array.from({ length: SHOWN_MAX + 400 }, (_, index) => instrument(`SYN${index}`, index));
    expect(searchInstruments(many, "syn")).toMatchObject({ shown: { length: SHOWN_MAX }, hidden: 400 });
    expect(searchInstruments(many, "syn499").shown.map(({ symbol }) => symbol)).toEqual(["SYN499"]);
  });
});
