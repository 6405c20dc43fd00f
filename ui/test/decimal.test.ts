import { describe, expect, it } from "vitest";
import { decimalsOf, formatDecimal, parseDecimal, toAxis } from "../src/decimal";

describe("prices as exact decimals", () => {
  it("keeps every digit that a float would lose", () => {
    expect(parseDecimal("9223372036.854775806")).toBe(9223372036854775806n);
    expect(parseDecimal("0.000000001")).toBe(1n);
    expect(parseDecimal("0.1") + parseDecimal("0.2")).toBe(parseDecimal("0.3"));
  });

  it("knows negative prices, also between minus one and zero", () => {
    expect(parseDecimal("-37.63")).toBe(-37_630_000_000n);
    expect(parseDecimal("-0.05")).toBe(-50_000_000n);
    expect(formatDecimal(-50_000_000n, 2)).toBe("-0.05");
  });

  it("compares equal prices written with different decimals as equal", () => {
    expect(parseDecimal("65.4")).toBe(parseDecimal("65.400"));
  });

  it.each(["", "1e3", "1.", ".5", "1.0000000001", "NaN", "1,5", " 1"])("refuses %j and says what it expected", (text) => {
    expect(() => parseDecimal(text)).toThrow(/expected a decimal string/);
  });

  it("writes at least the decimals asked for, and never drops one that counts", () => {
    expect(formatDecimal(10_000_000n, 2)).toBe("0.01");
    expect(formatDecimal(250_000_000n, 1)).toBe("0.25");
    expect(formatDecimal(5_000_000_000n, 0)).toBe("5");
    expect(decimalsOf("64.125")).toBe(3);
    expect(decimalsOf("64")).toBe(0);
  });

  it("gives the axis a number of the price's size", () => {
    expect(toAxis(parseDecimal("64.75"))).toBe(64.75);
  });
});
