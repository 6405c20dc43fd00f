/**
 * The time axis: the market's own time, ts_recv, as the clock of replays and tables is, and evenly spaced. A replay at a hundred times the
 * speed runs by a hundred times as fast on the same axis, and is shown through a window as much longer.
 */

import type { Columns } from "./heatmap-columns";

export const NS_PER_S = 1e9;

/** In s: what keys and wheel step through, and what a window that nobody has chosen grows by. */
const WINDOWS_S = [
  ...[0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 30, 45],
  ...[1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45].map((minutes) => minutes * 60),
  ...[1, 1.5, 2, 3, 4, 6, 8, 12].map((hours) => hours * 3_600),
  ...[1, 2, 4, 7, 14, 28].map((days) => days * 86_400),
];
const WINDOWS_NS: readonly number[] = WINDOWS_S.map((seconds) => seconds * NS_PER_S);
/** So much time of the page is in view at first, in a live market just as much of the market's. */
const WINDOW_SECONDS_DEFAULT = 60;
const WINDOW_SECONDS_MIN = 2;

/** The window while the reader has chosen none, ns: what has been seen in full width, up to a minute of the page's time. */
export function openingWindow(seenNs: number, pace: number): number {
  const least = Math.max(seenNs, WINDOW_SECONDS_MIN * NS_PER_S * Math.min(1, pace));
  return atLeast(Math.min(least, WINDOW_SECONDS_DEFAULT * NS_PER_S * pace));
}

/** The next window of those that can be chosen; `steps` positive: nearer. */
export function zoomedWindow(ns: number, steps: number): number {
  const index = WINDOWS_NS.indexOf(atLeast(ns)) - steps;
  return WINDOWS_NS[Math.min(WINDOWS_NS.length - 1, Math.max(0, index))] ?? ns;
}

function atLeast(ns: number): number {
  return WINDOWS_NS.find((each) => each >= ns * (1 - 1e-9)) ?? WINDOWS_NS.at(-1) ?? ns;
}

/** Absolute pixel of a time. Absolute pixels rise with time and are the same however the view is scrolled. */
export function pxOf(at: number, nsPerPx: number): number {
  return Math.floor(at / nsPerPx);
}

export interface TimeTick {
  /** Absolute pixel. */
  readonly px: number;
  readonly label: string;
}

const MS = 1_000_000n;
const S = 1_000n * MS;
const DAY = 86_400n * S;
const STEPS_NS: readonly bigint[] = [
  ...[1n, 2n, 5n, 10n, 20n, 50n, 100n, 200n, 500n].map((ms) => ms * MS),
  ...[1n, 2n, 5n, 10n, 15n, 30n, 60n, 120n, 300n, 600n, 900n, 1_800n, 3_600n, 7_200n, 21_600n, 43_200n].map((s) => s * S),
  ...[1n, 2n, 7n].map((days) => days * DAY),
];

/** Round times of the market between two absolute pixels, `gapPx` apart or more. */
export function timeTicks({ origin }: Pick<Columns, "origin">, nsPerPx: number, fromPx: number, toPx: number, gapPx: number): TimeTick[] {
  const tsOf = (px: number): bigint => origin + BigInt(Math.round(px * nsPerPx));
  const rough = BigInt(Math.ceil(gapPx * nsPerPx));
  const step = STEPS_NS.find((candidate) => candidate >= rough) ?? 7n * DAY;
  const ticks: TimeTick[] = [];
  for (let ts = (tsOf(fromPx) / step + 1n) * step; ts < tsOf(toPx); ts += step) {
    ticks.push({ px: pxOf(Number(ts - origin), nsPerPx), label: step < DAY ? clock(ts, step < S) : day(ts) });
  }
  return ticks;
}

/** UTC, of ns: "13:30:05", with ms where they are asked for. */
export function clock(ts: bigint, withMs: boolean): string {
  return new Date(Number(ts / MS)).toISOString().slice(11, withMs ? 23 : 19);
}

function day(ts: bigint): string {
  return new Date(Number(ts / MS)).toISOString().slice(0, 10);
}
