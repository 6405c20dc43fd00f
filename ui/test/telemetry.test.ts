import { describe, expect, it } from "vitest";
import { PageMeter, type PageNumbers } from "../src/page-meter";
import { CHARTS, writeValue } from "../src/performance-charts";
import { Telemetry } from "../src/telemetry";
import { COARSE_ROWS_MAX, FINE_ROWS_MAX, summaryOf, TimeRows } from "../src/time-rows";
import { book, level, metrics } from "./fixtures";

const START_MS = 1_758_751_200_000;
const PAGE: PageNumbers = { framesPerS: 60, updatesPerS: 20, longTasks: 0, longTaskMaxMs: 0, paintMeanMs: 1, paintMaxMs: 3 };

describe("numbers over time", () => {
  it("keep every second of a quarter of an hour, and minutes before it", () => {
    const rows = new TimeRows(["mean", "max"]);
    for (let second = 0; second < 20 * 60; second += 1) rows.push(START_MS + second * 1000, [second, second]);
    const { x, y } = rows.columns(0, [0, 1]);
    // 299 aged seconds: four whole minutes and one that is being folded, then 901 single ones.
    expect(x).toHaveLength(5 + 901);
    expect(y[0]?.slice(0, 2)).toEqual([29.5, 89.5]);
    expect(y[1]?.slice(0, 2)).toEqual([59, 119]);
    expect(x.at(-1)).toBe((START_MS + (20 * 60 - 1) * 1000) / 1000);
    expect(x.toSorted((a, b) => a - b)).toEqual(x);
    expect(y[0]).not.toContain(null);
  });

  it("never grow beyond their bounds", () => {
    const rows = new TimeRows(["mean"]);
    for (let index = 0; index < 5_000; index += 1) rows.push(START_MS + index * 100, [1]);
    expect(rows.length).toBeLessThanOrEqual(FINE_ROWS_MAX + COARSE_ROWS_MAX);
    for (let minute = 0; minute < 2 * COARSE_ROWS_MAX; minute += 1) rows.push(START_MS + 500_000 + minute * 60_000, [1]);
    expect(rows.length).toBeLessThanOrEqual(COARSE_ROWS_MAX + 16);
  });

  it("have a hole where nothing was told, and none where minutes turn into seconds", () => {
    const rows = new TimeRows(["mean"]);
    for (const second of [0, 1, 10, 11]) rows.push(START_MS + second * 1000, [second]);
    expect(rows.columns(0, [0]).y[0]).toEqual([0, 1, null, 10, 11]);
    expect(rows.columns(START_MS + 10_000, [0]).y[0]).toEqual([10, 11]);
  });

  it("begin anew when the clock was set back, and refuse a row of another length", () => {
    const rows = new TimeRows(["mean"]);
    rows.push(START_MS, [1]);
    rows.push(START_MS - 60_000, [2]);
    expect(rows.columns(0, [0]).y[0]).toEqual([2]);
    expect(() => {
      rows.push(START_MS, [1, 2]);
    }).toThrow("1 values expected, got 2");
  });

  it("are summed up without what was not measured", () => {
    expect(summaryOf([1, null, 5])).toEqual({ last: 5, mean: 3, max: 5 });
    expect(summaryOf([3, null])).toEqual({ last: null, mean: 3, max: 3 });
    expect(summaryOf([null])).toEqual({ last: null, mean: null, max: null });
  });
});

describe("what the performance page draws", () => {
  it("has the server's numbers, the book's, and rates of what is counted", () => {
    const telemetry = new Telemetry();
    const counts = { open: 2, subscriptions: 4, sent: 100, bytes: 1_000, conflated: 0, gaps: 0 };
    telemetry.take(START_MS, metrics({ sockets: counts }), null, PAGE);
    const shown = book({ bids: [level("64.77"), level("64.76")], asks: [level("64.80")], orders: 9 });
    telemetry.take(START_MS + 2_000, metrics({ sockets: { ...counts, sent: 140, bytes: 9_000 } }), shown, PAGE);
    const { y } = telemetry.columns(0, ["messagesPerS", "sentPerS", "sentBytesPerS", "spread", "bidLevels", "orders", "framesPerS"]);
    expect(y).toEqual([[50_000, 50_000], [null, 20], [null, 4_000], [null, 0.03], [null, 2], [null, 9], [60, 60]]);
  });

  it("takes no rate from a server that counts from nothing again", () => {
    const telemetry = new Telemetry();
    const counts = { open: 1, subscriptions: 1, sent: 100, bytes: 1_000, conflated: 0, gaps: 0 };
    telemetry.take(START_MS, metrics({ sockets: counts }), null, PAGE);
    telemetry.take(START_MS + 1_000, metrics({ sockets: { ...counts, sent: 3 } }), null, PAGE);
    expect(telemetry.columns(0, ["sentPerS"]).y).toEqual([[null, null]]);
  });

  it("says its units on every axis and with every value", () => {
    for (const plan of CHARTS) {
      expect(plan.unit, plan.name).not.toBe("");
      expect(writeValue(plan.cell, null)).toBe("–");
    }
    const written = (name: string, value: number): string => {
      const plan = CHARTS.find((each) => each.name === name);
      return plan === undefined ? "no such chart" : `${plan.ticks([0, value]).join(" ")} ${plan.cell(value)} ${plan.exact(value)}`;
    };
    expect(written("throughput", 20_000)).toBe("0 20k 20.0k 20,000 /s");
    expect(written("apply", 1_215)).toBe("0 1.215 µs 1.22 µs 1,215 ns");
    expect(written("lag", 14)).toBe("0 14 ms 14.0 ms 14 ms");
    // As wide as a column of the table is.
    expect(written("orders", 16_508.54)).toBe("0 16.50854k 16,509 16,508.54 orders");
    expect(written("spread", 0.034 / 3)).toBe("0 0.011333333 0.01133 0.011333333");
    expect(written("spread", 0.03 + 1e-17)).toBe("0 0.03 0.03 0.03");
  });
});

describe("the meter of the page", () => {
  it("tells what was since it was asked last", () => {
    let nowMs = 0;
    const meter = new PageMeter(() => nowMs);
    for (let frame = 0; frame < 120; frame += 1) meter.frame();
    meter.update();
    meter.painted(2);
    meter.painted(4);
    meter.longTask(80);
    nowMs = 2_000;
    expect(meter.take()).toEqual({ framesPerS: 60, updatesPerS: 0.5, longTasks: 1, longTaskMaxMs: 80, paintMeanMs: 3, paintMaxMs: 4 });
    nowMs = 3_000;
    expect(meter.take()).toEqual({ framesPerS: 0, updatesPerS: 0, longTasks: 0, longTaskMaxMs: 0, paintMeanMs: null, paintMaxMs: null });
  });
});
