/** What the heatmap shows, kept as it comes: a column each 50 ms of the page's clock, and the trades in it. */

import type { Trade } from "./feed/feed";
import { keyOf, type Book } from "./feed/wire";
import { COLUMN_INTERVAL_MS, Columns, COLUMNS_MAX } from "./heatmap-columns";
import type { Step } from "./heatmap-recorded";
import { TradeRing, type PlacedTrade } from "./heatmap-trades";
import { continueRun } from "./trade-run";

/** Time goes on; or a source that has ended or a held replay brings no time; or nobody knows how the book stands. */
export type Flow = "moving" | "held" | "cut";

/** A book that stands still is a picture too: it gets so many columns, and no more while nothing moves. */
export const HELD_COLUMNS = 40;
/** A longer outage is no wider than this: what was before it stays in view. */
export const GAP_COLUMNS_MAX = 200;
/** And one that was too short to be noticed by the clock is this wide. */
export const GAP_COLUMNS_MIN = 8;
/** The page looks twice a second or more; where it has not (a hidden tab, a machine asleep), nobody knows what was missed. */
export const UNSEEN_COLUMNS_MAX = 60;
/** The few levels that come first leave no trace where all of them follow so soon. */
const FIRST_COLUMNS_MAX = 40;
/** Trades come on a channel of their own, so they may come before the book they are in; so many are kept for it. */
const WAITING_MAX = 2_000;
/** So many placed trades are kept for the pane; where it has not looked (it is not on view), it begins with the ring anew. */
export const PLACED_MAX = 2_000;
/** The snapshot of trades repeats up to 50. */
const KNOWN_MAX = 64;

export class HeatmapRecord {
  readonly columns: Columns;
  readonly trades = new TradeRing();
  /** Trades placed since the pane looked last. */
  placed: PlacedTrade[] = [];
  /** Rises when all that was placed before has lost its meaning. */
  generation = 0;
  /** Rises when all that was kept before is gone. */
  beginning = 0;
  /** The first column that the page has seen itself, where those before it were recorded. */
  recordedTo: number | null = null;
  /** Smallest column that has changed since the pane looked last. */
  changedFrom = Infinity;
  readonly #onFiner: (factor: number) => void;
  #flow: Flow = "moving";
  #clockTick = 0;
  #key = "";
  #isBroken = false;
  /** The most levels that a book had of those that are kept. */
  #levelsMax = 0;
  #waiting: Trade[] = [];
  #known: Trade[] = [];

  constructor(onFiner: (factor: number) => void) {
    this.#onFiner = onFiner;
    this.columns = new Columns((factor) => {
      this.trades.refine(factor);
      this.generation += 1;
      this.#onFiner(factor);
    });
  }

  /**
   * What comes next does not continue what came before. Whether it is the same market later on, after a gap, or another one or another
   * time, shows with the next book.
   */
  reset(): void {
    this.#isBroken = true;
    this.#waiting = [];
  }

  clear(): void {
    this.columns.clear();
    this.trades.clear();
    this.placed = [];
    this.#waiting = [];
    this.#known = [];
    this.#isBroken = false;
    this.#levelsMax = 0;
    this.changedFrom = this.columns.first;
    this.generation += 1;
    this.beginning += 1;
    this.recordedTo = null;
  }

  /** Of which book the columns are, as {instrument} of the HTTP contract. */
  get key(): string {
    return this.#key;
  }

  /** Puts what was recorded before the first column in front of it, as far as there is room. */
  prepend(steps: readonly Step[], stepS: number): void {
    this.recordedTo ??= this.columns.first;
    for (const step of steps.toReversed()) if (!this.columns.prepend(step, step.from, stepS)) break;
    this.generation += 1;
  }

  takeDepth(book: Book, nowMs: number): void {
    const tick = clockTick(nowMs);
    const isFirstOfAll = book.levelsMax > this.#levelsMax && this.columns.length <= FIRST_COLUMNS_MAX;
    if (isFirstOfAll && this.columns.length > 0) this.clear();
    this.#levelsMax = Math.max(this.#levelsMax, book.levelsMax);
    if (this.columns.length > 0) {
      if (this.#continues(book)) this.#advanceTo(tick - 1);
      else this.clear();
      if (this.#isBroken) this.#mark(GAP_COLUMNS_MIN);
    }
    this.#isBroken = false;
    this.#key = keyOf(book);
    const last = this.columns.end - 1;
    const sameInterval = this.#flow === "moving" && tick <= this.#clockTick;
    if (this.columns.length > 0 && sameInterval && this.columns.kind(last) !== "gap") this.columns.replaceLast(book);
    else this.columns.push(book);
    this.#clockTick = Math.max(tick, this.#clockTick);
    this.#touched(this.columns.end - 1);
    this.#place(BigInt(book.tsRecv));
  }

  /** Of the same book as the last one taken, or of the next. Trades before the first column are not shown. */
  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    const fresh = isSnapshot ? continueRun(this.#known, trades).fresh : trades;
    this.#known = [...this.#known, ...fresh].slice(-KNOWN_MAX);
    this.#waiting = [...this.#waiting, ...fresh].slice(-WAITING_MAX);
    if (this.columns.length > 0 && !this.#isBroken) this.#place(this.columns.tsRecv(this.columns.end - 1));
  }

  /** Time has gone by, whether or not anything came. */
  advance(nowMs: number, flow: Flow): void {
    this.#flow = flow;
    if (this.columns.length > 0 && !this.#isBroken) this.#advanceTo(clockTick(nowMs));
  }

  #continues(book: Book): boolean {
    return keyOf(book) === this.#key && BigInt(book.tsRecv) >= this.columns.tsRecv(this.columns.end - 1);
  }

  #advanceTo(tick: number): void {
    const due = Math.min(tick - this.#clockTick, COLUMNS_MAX);
    if (due <= 0) return;
    this.#clockTick = tick;
    const from = this.columns.end;
    if (this.#flow === "cut" || (this.#flow === "moving" && due > UNSEEN_COLUMNS_MAX)) {
      this.#mark(Math.min(due, GAP_COLUMNS_MAX - this.#gapLength()));
      return;
    }
    const isGap = this.columns.kind(this.columns.end - 1) === "gap";
    const columns = this.#flow === "moving" ? due : Math.min(due, HELD_COLUMNS - this.columns.length);
    for (let count = 0; count < columns; count += 1) {
      if (isGap) this.columns.pushGap();
      else this.columns.repeat();
    }
    if (columns > 0) this.#touched(from);
  }

  #mark(columns: number): void {
    const from = this.columns.end;
    for (let count = 0; count < columns; count += 1) this.columns.pushGap();
    if (columns > 0) this.#touched(from);
  }

  #gapLength(): number {
    let column = this.columns.end - 1;
    while (column >= this.columns.first && this.columns.kind(column) === "gap") column -= 1;
    return this.columns.end - 1 - column;
  }

  /** The waiting trades up to this time, each in the first column whose book has it. */
  #place(until: bigint): void {
    const { columns } = this;
    let placed = 0;
    for (const trade of this.#waiting) {
      const ts = BigInt(trade.tsRecv);
      if (ts > until) break;
      placed += 1;
      const { price, size, side } = trade;
      const column = columns.columnAt(ts);
      if (price === null || column >= columns.end || (column === columns.first && ts < columns.tsRecv(column))) continue;
      columns.grid.learn([price]);
      const entry = { column, ticks: columns.grid.index(price), size, side };
      this.trades.push(entry);
      this.placed.push(entry);
      if (this.placed.length > PLACED_MAX) {
        this.placed = [];
        this.generation += 1;
      }
      this.#touched(column);
    }
    if (placed > 0) this.#waiting = this.#waiting.slice(placed);
  }

  #touched(column: number): void {
    this.changedFrom = Math.min(this.changedFrom, column);
  }
}

function clockTick(nowMs: number): number {
  return Math.floor(nowMs / COLUMN_INTERVAL_MS);
}
