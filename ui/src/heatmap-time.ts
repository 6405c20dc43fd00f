/**
 * The time axis. Columns are as far apart as the page took them, each 50 ms, and each carries the market's own time, the ts_recv of
 * its last event; the axis is labelled by that. So a replay at 100 times the speed runs by as live does, and its labels rise a hundred
 * times as fast; a market that stands still moves its picture and not its labels.
 */

import { COLUMN_INTERVAL_MS, type Columns } from "./heatmap-columns";

/** Columns are whole pixels wide, or a pixel holds whole columns: nothing is ever between two pixels while it scrolls. */
export interface TimeScale {
  readonly pxPerColumn: number;
  readonly columnsPerPx: number;
}

export const WINDOW_SECONDS_MAX = 600;
export const WINDOW_SECONDS_DEFAULT = 60;
/** What has been seen is shown in full width, from the first second on. */
const OPENING_SECONDS = [2, 3, 4, 6, 8, 12, 16, 24, 32, 45, WINDOW_SECONDS_DEFAULT] as const;
/** What the keys and the wheel step through. */
export const WINDOW_SECONDS = [30, 45, 60, 90, 120, 180, 240, 300, 420, WINDOW_SECONDS_MAX] as const;

const COLUMNS_PER_S = 1_000 / COLUMN_INTERVAL_MS;

/** The scale at which about so many seconds fill the width: the nearest of those that keep pixels whole. */
export function timeScale(seconds: number, widthPx: number): TimeScale {
  const columns = Math.max(1, seconds * COLUMNS_PER_S);
  if (columns <= widthPx) return { pxPerColumn: Math.max(1, Math.round(widthPx / columns)), columnsPerPx: 1 };
  return { pxPerColumn: 1, columnsPerPx: Math.round(columns / Math.max(1, widthPx)) };
}

/** The window while the reader has chosen none: the shortest that holds all columns. */
export function openingSeconds(columns: number): number {
  const seen = columns / COLUMNS_PER_S;
  return OPENING_SECONDS.find((seconds) => seen <= seconds) ?? WINDOW_SECONDS_DEFAULT;
}

/** The next window of those that can be chosen; `steps` positive: nearer. */
export function zoomedSeconds(seconds: number, steps: number): number {
  const nearest = WINDOW_SECONDS.reduce((best, each, index) => {
    const before = WINDOW_SECONDS[best] ?? each;
    return Math.abs(Math.log(each / seconds)) < Math.abs(Math.log(before / seconds)) ? index : best;
  }, 0);
  const index = Math.min(WINDOW_SECONDS.length - 1, Math.max(0, nearest - steps));
  return WINDOW_SECONDS[index] ?? seconds;
}

/** Absolute pixel of a column's left edge. Absolute pixels rise with columns and are the same however the view is scrolled. */
export function pxOf(column: number, { pxPerColumn, columnsPerPx }: TimeScale): number {
  return columnsPerPx > 1 ? Math.floor(column / columnsPerPx) : column * pxPerColumn;
}

/** The first column of an absolute pixel, and the one after its last. */
export function columnsOf(px: number, { pxPerColumn, columnsPerPx }: TimeScale): readonly [from: number, to: number] {
  if (columnsPerPx > 1) return [px * columnsPerPx, (px + 1) * columnsPerPx];
  const column = Math.floor(px / pxPerColumn);
  return [column, column + 1];
}

export interface TimeTick {
  /** Absolute pixel. */
  readonly px: number;
  readonly label: string;
}

const MS = 1_000_000n;
const S = 1_000n * MS;
const STEPS_NS: readonly bigint[] = [
  ...[1n, 2n, 5n, 10n, 20n, 50n, 100n, 200n, 500n].map((ms) => ms * MS),
  ...[1n, 2n, 5n, 10n, 15n, 30n, 60n, 120n, 300n, 600n, 900n, 1_800n, 3_600n, 7_200n, 21_600n, 43_200n, 86_400n].map((s) => s * S),
];

/**
 * Round times of the market where they first appear between two absolute pixels, `gapPx` apart or more: where time has jumped, fewer.
 */
export function timeTicks(columns: Columns, scale: TimeScale, fromPx: number, toPx: number, gapPx: number): TimeTick[] {
  const from = Math.max(columns.first, columnsOf(fromPx, scale)[0]);
  const to = Math.min(columns.end, columnsOf(toPx, scale)[1]) - 1;
  if (to <= from) return [];
  const [begin, end] = [columns.tsRecv(from), columns.tsRecv(to)];
  const widthPx = pxOf(to, scale) - pxOf(from, scale);
  const rough = BigInt(Math.ceil((Number(end - begin) * gapPx) / Math.max(1, widthPx)));
  const step = STEPS_NS.find((candidate) => candidate >= rough) ?? 86_400n * S;
  const ticks: TimeTick[] = [];
  let previousPx = -Infinity;
  for (let ts = (begin / step + 1n) * step; ts <= end; ts += step) {
    const px = pxOf(columns.columnAt(ts), scale);
    if (px - previousPx < gapPx) continue;
    ticks.push({ px, label: clock(ts, step < S) });
    previousPx = px;
  }
  return ticks;
}

/** UTC, of ns: "13:30:05", with ms where they are asked for. */
export function clock(ts: bigint, withMs: boolean): string {
  return new Date(Number(ts / MS)).toISOString().slice(11, withMs ? 23 : 19);
}
