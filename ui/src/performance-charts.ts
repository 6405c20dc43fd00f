/** The charts of the performance page: what each draws, in which unit, and how it writes a value. */

import { axisTexts, COUNT_UNITS, DURATION_UNITS } from "./axis-texts";
import { formatCompact, formatDuration, formatInteger, MISSING, withMinus } from "./format";
import type { Column } from "./telemetry";

const twoDecimals = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

export interface ChartLine {
  readonly column: Column;
  readonly name: string;
}

export interface ChartPlan {
  readonly name: string;
  readonly title: string;
  /** On the axis, beside the title. */
  readonly unit: string;
  readonly lines: readonly ChartLine[];
  /** Nothing is between two whole numbers. */
  readonly isWhole?: boolean;
  /** Of the axis, which rise by equal steps. */
  readonly ticks: (values: readonly number[]) => string[];
  /** In the table below the chart: short enough for its column. */
  readonly cell: (value: number) => string;
  /** A value, with its unit, as exact as it is known. */
  readonly exact: (value: number) => string;
}

const perSecond = (unit: string) => ({
  ticks: ofCounts,
  cell: formatCompact,
  exact: (value: number): string => `${hundredths(value)} ${unit}`,
});

const duration = {
  ticks: (ns: readonly number[]): string[] => axisTexts(ns, DURATION_UNITS),
  cell: formatDuration,
  exact: (ns: number): string => `${formatInteger(ns)} ns`,
};

const milliseconds = {
  ticks: (ms: readonly number[]): string[] => axisTexts(ms.map((each) => each * 1e6), DURATION_UNITS),
  cell: (ms: number): string => formatDuration(ms * 1e6),
  exact: (ms: number): string => `${hundredths(ms)} ms`,
};

const count = (noun: string) => ({
  isWhole: true,
  ticks: ofCounts,
  cell: shortCount,
  exact: (value: number): string => `${hundredths(value)} ${noun}`,
});

export const CHARTS: readonly ChartPlan[] = [
  {
    ...{ name: "throughput", title: "Throughput", unit: "per second", ...perSecond("/s") },
    lines: [
      { column: "messagesPerS", name: "messages" },
      { column: "eventsPerS", name: "events" },
    ],
  },
  {
    ...{ name: "data", title: "Data applied", unit: "bytes per second", ...perSecond("B/s") },
    lines: [{ column: "bytesPerS", name: "bytes" }],
  },
  {
    ...{ name: "apply", title: "Apply latency", unit: "time for one message", ...duration },
    lines: [
      { column: "applyP99Ns", name: "p99" },
      { column: "applyP90Ns", name: "p90" },
      { column: "applyP50Ns", name: "p50" },
    ],
  },
  {
    ...{ name: "snapshot", title: "Snapshot latency", unit: "time for one book", ...duration },
    lines: [
      { column: "snapshotP99Ns", name: "p99" },
      { column: "snapshotP90Ns", name: "p90" },
      { column: "snapshotP50Ns", name: "p50" },
    ],
  },
  {
    ...{ name: "feed", title: "Receipt to applied", unit: "time for one chunk", ...duration },
    lines: [
      { column: "chunkP99Ns", name: "p99" },
      { column: "chunkP50Ns", name: "p50" },
    ],
  },
  {
    ...{ name: "lag", title: "Lag of feed and event loop", unit: "time behind", ...milliseconds },
    lines: [
      { column: "sourceLagMs", name: "live feed" },
      { column: "loopP99Ms", name: "loop p99" },
      { column: "loopP50Ms", name: "loop p50" },
    ],
  },
  {
    ...{ name: "levels", title: "Depth of the book", unit: "levels a side, at most 100", ...count("levels") },
    lines: [
      { column: "bidLevels", name: "bids" },
      { column: "askLevels", name: "asks" },
    ],
  },
  {
    ...{ name: "orders", title: "Resting orders of the book", unit: "orders", ...count("orders") },
    lines: [{ column: "orders", name: "orders" }],
  },
  {
    ...{ name: "spread", title: "Spread of the book", unit: "price" },
    lines: [{ column: "spread", name: "spread" }],
    ...{ ticks: (values: readonly number[]): string[] => axisTexts(values, []), cell: shortNumber, exact: plainNumber },
  },
  {
    ...{ name: "clients", title: "Clients of the server", unit: "open now", ...count("open") },
    lines: [
      { column: "clients", name: "sockets" },
      { column: "subscriptions", name: "subscriptions" },
    ],
  },
  {
    ...{ name: "sent", title: "Sent to clients", unit: "messages per second", ...perSecond("/s") },
    lines: [
      { column: "sentPerS", name: "messages" },
      { column: "conflatedPerS", name: "conflated" },
    ],
  },
  {
    ...{ name: "sent-data", title: "Data sent to clients", unit: "bytes per second", ...perSecond("B/s") },
    lines: [{ column: "sentBytesPerS", name: "bytes" }],
  },
  {
    ...{ name: "frames", title: "This page", unit: "per second", ...perSecond("/s") },
    lines: [
      { column: "framesPerS", name: "frames" },
      { column: "updatesPerS", name: "updates" },
    ],
  },
  {
    ...{ name: "paint", title: "This page's work", unit: "time, long tasks from 50 ms", ...milliseconds },
    lines: [
      { column: "longTaskMaxMs", name: "longest task" },
      { column: "paintMaxMs", name: "paint max" },
      { column: "paintMeanMs", name: "paint mean" },
    ],
  },
];

export function writeValue(write: (value: number) => string, value: number | null): string {
  return value === null ? MISSING : write(value);
}

function hundredths(value: number): string {
  return Number.isInteger(value) ? formatInteger(value) : twoDecimals.format(value);
}

function ofCounts(values: readonly number[]): string[] {
  return axisTexts(values, COUNT_UNITS);
}

/** Seven characters at most. */
function shortCount(value: number): string {
  if (value >= 999_999.5) return formatCompact(value);
  return value < 100 ? hundredths(value) : formatInteger(Math.round(value));
}

/** Without the noise of a float's last digits; prices have nine decimals at most. */
function plainNumber(value: number): string {
  return withMinus(String(Number(value.toFixed(9))));
}

/** In four significant digits. */
function shortNumber(value: number): string {
  return plainNumber(Number(value.toPrecision(4)));
}
