import { describe, expect, it } from "vitest";
import { parseDecimal } from "../src/decimal";
import { TickFinder, tickOf } from "../src/tick";
import { level } from "./fixtures";

const levels = (...prices: string[]) => prices.map((price) => level(price));
const units = (...prices: string[]) => prices.map(parseDecimal);

/** Every price of the grid from the first on. */
function grid(from: string, tick: string, count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => parseDecimal(from) + BigInt(index) * parseDecimal(tick));
}

describe("the tick of prices", () => {
  it("is their greatest common divisor", () => {
    expect(tickOf(units("64.77", "64.79", "64.81"))).toBe(parseDecimal("0.01"));
    expect(tickOf(units("4500.25", "4500.5", "4501"))).toBe(parseDecimal("0.25"));
    expect(tickOf(units("143.1171875", "143.109375", "143.125", "143.1328125"))).toBe(parseDecimal("0.0078125"));
    expect(tickOf(units("-0.25", "0", "0.75"))).toBe(parseDecimal("0.25"));
    expect(tickOf(units("101", "99.5", "100.25", "102"))).toBe(parseDecimal("0.25"));
  });

  it("is not spoilt by a price that lies on no grid", () => {
    const prices = grid("64.20", "0.01", 60);
    expect(tickOf([...prices, parseDecimal("71.123456789")])).toBe(parseDecimal("0.01"));
    expect(tickOf([...grid("4500", "0.25", 40), parseDecimal("4612.3333")])).toBe(parseDecimal("0.25"));
  });

  it("follows prices that lie on a finer grid, even one of them", () => {
    expect(tickOf([...grid("64.20", "0.05", 30), parseDecimal("64.21")])).toBe(parseDecimal("0.01"));
  });

  it("has nothing to say of nothing", () => {
    expect(tickOf([])).toBe(0n);
    expect(tickOf([0n])).toBe(0n);
  });
});

describe("the search for the tick", () => {
  it("begins with the decimals of a single price, and becomes finer as prices come", () => {
    const finder = new TickFinder();
    expect(finder.tick).toBe(0n);
    expect(finder.take(levels("64.00"), [])).toBe(true);
    expect(finder.tick).toBe(parseDecimal("0.01"));
    expect(finder.take(levels("64.00"), levels("64.50", "65.00"))).toBe(true);
    expect(finder.tick).toBe(parseDecimal("0.5"));
    expect(finder.take(levels("64.00"), levels("64.50"))).toBe(false);
    expect(finder.take(levels("64.00"), levels("64.25"))).toBe(true);
    expect(finder.tick).toBe(parseDecimal("0.25"));
  });

  it("remembers prices that have gone, until it is told to forget", () => {
    const finder = new TickFinder();
    finder.take(levels("10.00", "9.99"), []);
    expect(finder.take(levels("10.00", "9.90"), [])).toBe(false);
    expect(finder.tick).toBe(parseDecimal("0.01"));
    finder.reset();
    finder.take(levels("10.00", "9.90"), []);
    expect(finder.tick).toBe(parseDecimal("0.1"));
  });

  it("does not fall apart with thousands of prices", () => {
    const finder = new TickFinder();
    for (let from = 0; from < 6_000; from += 100) {
      finder.take(Array.from({ length: 100 }, (_, index) => level(((from + index) / 100).toFixed(2))), []);
    }
    expect(finder.tick).toBe(parseDecimal("0.01"));
    expect(finder.known).toBeLessThanOrEqual(4_000);
  });
});
