import { describe, expect, it } from "vitest";
import { formatCompact, formatDuration, formatInteger, formatTime, formatUptime, MISSING, plural, trimZeros, withMinus } from "../src/format";

describe("numbers below zero", () => {
  it("have the sign of a number, not a hyphen", () => {
    const written = [formatInteger(-1_234), formatCompact(-1_234), formatCompact(-0.5), formatDuration(-80), formatDuration(-2_000), withMinus("-0.25")];
    expect(written).toEqual(["−1,234", "−1.23k", "−0.5", "−80 ns", "−2000 ns", "−0.25"]);
  });
});

describe("times", () => {
  it("shows milliseconds and keeps all nine digits for the hover", () => {
    const time = formatTime("1758751200123456789");
    expect(time.short).toBe("2025-09-24 22:00:00.123 UTC");
    expect(time.exact).toBe("2025-09-24T22:00:00.123456789Z · 1758751200123456789 ns");
  });

  it("keeps leading zeros of the fraction", () => {
    expect(formatTime("1758751200000000001").exact).toContain("22:00:00.000000001Z");
  });

  it.each(["", "0", "18446744073709551615", "9000000000000000000000000", "-5", "soon"])("%j is no time", (ns) => {
    expect(formatTime(ns)).toEqual({ short: MISSING, exact: "no time" });
  });
});

describe("numbers", () => {
  it.each([
    [0, "0"],
    [7, "7"],
    [7.25, "7.3"],
    [999, "999"],
    [999.6, "1.00k"],
    [1_000, "1.00k"],
    [52_345, "52.3k"],
    [999_600, "1.00M"],
    [12_345_678, "12.3M"],
    [2.5e9, "2.50G"],
  ])("%d reads %s", (value, text) => {
    expect(formatCompact(value)).toBe(text);
  });

  it("groups whole numbers and never shows a missing one as zero", () => {
    expect(formatInteger(1_234_567)).toBe("1,234,567");
    expect(formatInteger(null)).toBe(MISSING);
    expect(formatInteger(Number.NaN)).toBe(MISSING);
    expect(formatCompact(undefined)).toBe(MISSING);
    expect(plural(1, "order")).toBe("1 order");
    expect(plural(2_000, "order")).toBe("2,000 orders");
  });

  it.each([
    [80, "80 ns"],
    [999.6, "1.00 µs"],
    [1_250, "1.25 µs"],
    [99_960, "100 µs"],
    [999_600, "1.00 ms"],
    [3_400_000, "3.40 ms"],
    [2_500_000_000, "2.50 s"],
    [null, MISSING],
  ])("%d ns reads %s", (ns, text) => {
    expect(formatDuration(ns)).toBe(text);
  });

  it.each([
    [59.9, "59 s"],
    [61, "1 min 01 s"],
    [3_725, "1 h 02 min"],
    [90_000, "1 d 01 h"],
  ])("%d s of uptime reads %s", (seconds, text) => {
    expect(formatUptime(seconds)).toBe(text);
  });

  it.each([
    ["10.0k", "10k"],
    ["2.50 µs", "2.5 µs"],
    ["1.00 ms", "1 ms"],
    ["100k/s", "100k/s"],
    ["500 ns", "500 ns"],
    ["1.05M", "1.05M"],
  ])("an axis writes %s as %s", (text, trimmed) => {
    expect(trimZeros(text)).toBe(trimmed);
  });
});
