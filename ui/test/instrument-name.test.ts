import { describe, expect, it } from "vitest";
import { isNamed, plainName, similarlyNamed } from "../src/instrument-name";

function instrument(symbol: string | null, instrumentId: number, publisherId = 1) {
  return { symbol, instrumentId, publisherId };
}

describe("the name of an instrument", () => {
  const some = [instrument("ESZ5", 5), instrument("NQZ5", 7), instrument("NQZ5", 8, 2), instrument(null, 9), instrument("12", 3), instrument("A/B", 4)];

  it("is its symbol where that means it alone, else its ids", () => {
    expect(plainName(some, "1:5")).toBe("ESZ5");
    expect(plainName(some, "ESZ5")).toBe("ESZ5");
    expect(plainName(some, "5")).toBe("ESZ5");
    expect(plainName(some, "1:7")).toBe("1:7");
    expect(plainName(some, "9")).toBe("1:9");
    // As an id it would mean another one, and in a path it would be two.
    expect(plainName(some, "1:3")).toBe("1:3");
    expect(plainName(some, "1:4")).toBe("1:4");
  });

  it("stays what it is where it means none, or several", () => {
    expect(plainName(some, "CLX5")).toBe("CLX5");
    expect(plainName(some, "NQZ5")).toBe("NQZ5");
    expect(plainName([], "1:5")).toBe("1:5");
  });

  it("means an instrument by symbol, id or both ids", () => {
    expect(["ESZ5", "5", "1:5", "NQZ5", null].map((name) => isNamed(instrument("ESZ5", 5), name))).toEqual([true, true, true, false, false]);
  });
});

describe("similar names", () => {
  const symbols = ["SYN0", "SYN1", "SYN10", "SYN100", "CLX5", "CLZ5", "ESZ5"].map((symbol, at) => instrument(symbol, at));
  const names = (typed: string): (string | null)[] => similarlyNamed(symbols, typed).map(({ symbol }) => symbol);

  it("are those that differ by a slip, and those that begin so, the most similar first", () => {
    expect(names("clx6")).toEqual(["CLX5"]);
    expect(names("SYN101")).toEqual(["SYN10", "SYN100", "SYN1"]);
    expect(names("CL")).toEqual(["CLX5", "CLZ5"]);
  });

  it("are none of what is altogether another", () => {
    expect(names("EURUSD")).toEqual([]);
    expect(names("1:77")).toEqual([]);
  });
});
