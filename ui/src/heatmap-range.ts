/**
 * Which prices the heatmap shows: rows of whole ticks, the levels of now and the best prices of all that is in view, moved and widened
 * with the market without trembling. A zoom of the reader's stays, and only its middle follows.
 */

import { LEVELS_MAX, type Columns } from "./heatmap-columns";

/** One zoom step: how many ticks a row holds, and how high it is in CSS pixels. */
export interface RowStep {
  readonly rowTicks: number;
  readonly rowPx: number;
}

const TICK_PX = [48, 40, 32, 26, 20, 16, 13, 10, 8, 6, 5, 4, 3] as const;
const GROUPS = [2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000, 10_000_000] as const;
const GROUP_PX = [6, 4] as const;

/** From near to far; each shows more ticks than the one before. */
export const ROW_STEPS: readonly RowStep[] = [
  ...TICK_PX.map((rowPx) => ({ rowTicks: 1, rowPx })),
  ...GROUPS.flatMap((rowTicks) => GROUP_PX.map((rowPx) => ({ rowTicks, rowPx }))),
].filter(({ rowTicks, rowPx }, index, all) => index === 0 || ticksPerPx(all[index - 1]) < rowTicks / rowPx);

function ticksPerPx(step: RowStep | undefined): number {
  return step === undefined ? 0 : step.rowTicks / step.rowPx;
}

/** The market may leave the middle by this share of what is shown before the picture moves after it. */
const SLACK = 0.3;
/** A first look shows about so many levels of each side. */
const LEVELS_SHOWN = 48;
/** Levels far from the others would flatten them: the look goes no further than so many times the middle distance. */
const DISTANCES_SHOWN = 3;
/** Prices go no further from the market of now than so many times what a look at it alone would show. */
const WIDENED_MAX = 6;
/** Beyond the best prices of before, so much of that is shown. */
const MARGIN = 0.15;
/** This much of it, on both sides of the market, is always in view. */
const NEAR = 0.4;
/** A range of which less than this is needed is made narrower. */
const NEEDED_MIN = 0.5;
const DISTANCE_MIN = 4;

/** In ticks. */
export interface PriceSpan {
  readonly low: number;
  readonly high: number;
}

export class PriceRange {
  step = 0;
  /** In ticks; may lie between two of them. */
  centre = 0;
  follows = true;
  /** The step is the page's choice until the reader makes one. */
  isAutomatic = true;
  /** The page has made that choice, and the reader no other. */
  #hasFitted = false;
  /** To each side of the market, in ticks, when the page has made its choice. */
  #distance = 1;
  #heightPx = 1;

  get rowTicks(): number {
    return this.#rowStep.rowTicks;
  }

  get rowPx(): number {
    return this.#rowStep.rowPx;
  }

  get rows(): number {
    return Math.max(1, Math.ceil(this.#heightPx / this.rowPx));
  }

  /** How many ticks are in view. */
  get ticks(): number {
    return this.rows * this.rowTicks;
  }

  /** The row at the bottom: it holds the ticks from `bottom` × rowTicks on. */
  get bottom(): number {
    return Math.floor(this.centre / this.rowTicks) - Math.floor((this.rows - 1) / 2);
  }

  /** Pixels from the top to the middle of a tick. */
  y(ticks: number): number {
    const above = (this.bottom + this.rows) * this.rowTicks - ticks - 0.5;
    return (above * this.rowPx) / this.rowTicks;
  }

  /** The row at this height; its ticks are from row × rowTicks on. */
  rowAt(y: number): number {
    return this.bottom + this.rows - 1 - Math.floor(y / this.rowPx);
  }

  resize(heightPx: number): void {
    this.#heightPx = heightPx;
  }

  /** Whether the market has come near an edge of the page's own choice. */
  isLeft(middle: number): boolean {
    const near = NEAR * this.#distance;
    return this.isFitted && !this.#holds(middle - near, middle + near);
  }

  /** Whether the page's own choice no longer holds the best prices in view, or is far wider than they need. */
  isOutgrown(columns: Columns, column: number, best: PriceSpan | null): boolean {
    const wanted = this.isFitted ? this.#wanted(columns, column, best) : null;
    if (wanted === null) return false;
    const ticks = wanted.high - wanted.low;
    // Where no nearer step shows all that is needed, a wide picture is the narrowest there is.
    const isFarWider = ticks < NEEDED_MIN * this.ticks && this.#stepFor(ticks) < this.step;
    return isFarWider || !this.#holds(wanted.bestLow, wanted.bestHigh);
  }

  #holds(low: number, high: number): boolean {
    return low >= this.bottom * this.rowTicks && high <= (this.bottom + this.rows) * this.rowTicks;
  }

  /** The page chooses what is shown, and goes on doing so. */
  get isFitted(): boolean {
    return this.#hasFitted && this.follows;
  }

  /** Shows as many levels as read well, and the best prices in view. */
  fit(columns: Columns, column: number, best: PriceSpan | null): void {
    const wanted = this.#wanted(columns, column, best);
    if (wanted === null) return;
    this.isAutomatic = false;
    this.#hasFitted = true;
    this.#distance = wanted.distance;
    this.centre = (wanted.low + wanted.high) / 2;
    this.step = this.#stepFor(wanted.high - wanted.low);
  }

  /** The nearest step that shows so many ticks. */
  #stepFor(ticks: number): number {
    const found = ROW_STEPS.findIndex(({ rowTicks, rowPx }) => Math.floor(this.#heightPx / rowPx) * rowTicks >= ticks);
    return found < 0 ? ROW_STEPS.length - 1 : found;
  }

  #wanted(columns: Columns, column: number, best: PriceSpan | null): (PriceSpan & { distance: number; bestLow: number; bestHigh: number }) | null {
    const middle = middleOf(columns, column);
    if (middle === null) return null;
    const distance = Math.max(DISTANCE_MIN, typicalDistance(columns, column, middle));
    const [least, most] = [middle - WIDENED_MAX * distance, middle + WIDENED_MAX * distance];
    const bestLow = Math.max(least, best?.low ?? middle);
    const bestHigh = Math.min(most, best?.high ?? middle);
    const margin = MARGIN * distance;
    const [low, high] = [Math.min(middle - distance, bestLow - margin), Math.max(middle + distance, bestHigh + margin)];
    return { low, high, distance, bestLow, bestHigh };
  }

  /** Whether the middle had to move: the market has left the part of the picture that it may move in. */
  follow(middle: number): boolean {
    if (!this.follows || Math.abs(middle - this.centre) <= SLACK * this.ticks) return false;
    this.centre = middle;
    return true;
  }

  /** By zoom steps, positive nearer; the tick at `y` stays where it is. */
  zoom(steps: number, y: number): void {
    const before = this.#ticksAt(y);
    this.step = Math.min(ROW_STEPS.length - 1, Math.max(0, this.step - steps));
    this.isAutomatic = false;
    this.#hasFitted = false;
    if (!this.follows) this.centre += before - this.#ticksAt(y);
  }

  /** By rows, positive to higher prices. The picture no longer follows the market. */
  scroll(rows: number): void {
    this.centre += rows * this.rowTicks;
    this.follows = false;
    this.#hasFitted = false;
  }

  clear(): void {
    this.follows = this.isAutomatic = true;
  }

  /** Ticks are finer from now on. */
  refine(factor: number): void {
    this.centre *= factor;
    this.isAutomatic = true;
  }

  get #rowStep(): RowStep {
    return ROW_STEPS[this.step] ?? { rowTicks: 1, rowPx: TICK_PX[0] };
  }

  #ticksAt(y: number): number {
    return (this.bottom + this.rows - y / this.rowPx) * this.rowTicks;
  }
}

/** Between the two best prices, in ticks; the one there is where the other side is empty. */
export function middleOf(columns: Columns, column: number): number | null {
  const [bid, ask] = [columns.best(column, "B"), columns.best(column, "A")];
  if (bid === null || ask === null) return bid ?? ask;
  return (bid + ask) / 2;
}

function typicalDistance(columns: Columns, column: number, middle: number): number {
  const distances: number[] = [];
  let shown = 0;
  for (const side of ["B", "A"] as const) {
    for (let place = 0; place < Math.min(LEVELS_MAX, columns.count(column, side)); place += 1) {
      const distance = Math.abs((columns.level(column, side, place)?.ticks ?? middle) - middle);
      distances.push(distance);
      if (place < LEVELS_SHOWN) shown = Math.max(shown, distance);
    }
  }
  distances.sort((a, b) => a - b);
  const median = distances[Math.floor(distances.length / 2)] ?? 0;
  return Math.min(shown, DISTANCES_SHOWN * median) || 1;
}
