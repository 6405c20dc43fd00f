/** What the heatmap shows, kept as it comes: the books, each from its own time on, and the trades. */

import type { Trade } from "./feed/feed";
import { keyOf, type Book } from "./feed/wire";
import { Columns } from "./heatmap-columns";
import type { Step } from "./heatmap-recorded";
import { NS_PER_S } from "./heatmap-time";
import { TradeRing, type PlacedTrade } from "./heatmap-trades";
import { MarketClock } from "./market-clock";
import { continueRun } from "./trade-run";
import type { TradesBefore } from "./trades-before";

/** Time goes on; or a source that has ended or a held replay brings no time; or nobody knows how the book stands. */
export type Flow = "moving" | "held" | "cut";

/** What is known of the market's time beside the books. */
export interface MarketTime {
  readonly flow: Flow;
  /** As many times as fast as the page's it goes at most. */
  readonly paceMax: number;
  /** Where a replay says that it is, ns since 1970; null live. */
  readonly told: string | null;
}

/** A lone book that stands still is a picture too: it reaches so far. */
export const HELD_NS = 2 * NS_PER_S;
/** The page looks twice a second or more; where it has not (a hidden tab, a machine asleep), nobody knows what was missed. */
export const UNSEEN_MS = 3_000;
/** Clocks of several senders differ a little: so much earlier than the book before counts as the same time. */
export const DISORDER_NS = NS_PER_S;
/** A moment so little later than all that is kept is that at which a reader has stopped. */
const NEAR_NS = 0.05 * NS_PER_S;
/** The picture of one time stays until the first book of another is there, but no longer. */
const MOVE_MS = 1_000;
/** Trades come on a channel of their own, so they may come before the first book; so many are kept for it. */
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
  /** The earliest time of which anything has changed since the pane looked last. */
  changedFrom = Infinity;
  readonly #onFiner: (factor: number) => void;
  readonly #clock = new MarketClock();
  #pace = 1;
  #paceMax = 1;
  #isHeld = false;
  #told: string | null = null;
  #key = "";
  /** Of what kind the next book's beginning is: it continues, or comes after what was missed, or is of another time. */
  #next: "continues" | "broken" | "moved" = "continues";
  #lookedAtMs = 0;
  #movedAtMs = 0;
  #waiting: Trade[] = [];
  #known: Trade[] = [];
  /** Trades up to here are placed, or from before all that is kept. */
  #tradesTo = -Infinity;
  /** Those of this time and later are placed already, or come as they happen. */
  #tradesFrom = Infinity;
  /** What was recorded before the place gone to: each is placed once there is a column for it. */
  #before: TradesBefore | null = null;

  constructor(onFiner: (factor: number) => void) {
    this.#onFiner = onFiner;
    this.columns = new Columns((factor) => {
      this.trades.refine(factor);
      this.generation += 1;
      this.#onFiner(factor);
    });
  }

  /** How many times as fast as the page's time that of the market goes. */
  get pace(): number {
    return this.#pace;
  }

  /** What comes next is of the same time, later on, but not all that was between them is known. */
  reset(): void {
    this.#next = "broken";
    this.#waiting = [];
  }

  /** What comes next is of another time of the same book. */
  move(nowMs: number): void {
    this.reset();
    this.#next = "moved";
    this.#movedAtMs = nowMs;
    this.#known = [];
    this.#before = null;
  }

  clear(): void {
    this.columns.clear();
    this.trades.clear();
    this.placed = [];
    this.#waiting = [];
    this.#known = [];
    this.#before = null;
    this.#next = "continues";
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
    this.#placeBefore();
  }

  /** Of before the first book after a move. */
  takeTradesBefore(before: TradesBefore): void {
    this.#before = before;
    this.#placeBefore();
  }

  takeDepth(book: Book, isSnapshot: boolean, nowMs: number): void {
    // Of a book in which nothing has happened yet nobody knows the time.
    if (book.tsRecv === "0") return;
    const { columns } = this;
    this.#leaveWhatWas(book);
    if (columns.length === 0) this.#begin(book);
    const last = columns.end - 1;
    const told = columns.atOf(BigInt(book.tsRecv));
    const at = columns.has(last) ? Math.max(told, columns.at(last)) : told;
    if (this.#next === "broken") this.#pushGap(Math.min(at, columns.until));
    // What was taken to stand until later has changed before that.
    columns.until = at;
    columns.push(book, at);
    this.#key = keyOf(book);
    if (isSnapshot || this.#next !== "continues") this.#clock.restart(at, nowMs);
    else this.#clock.take(at, nowMs);
    this.#next = "continues";
    this.#lookedAtMs = nowMs;
    this.#touched(at);
    this.#place();
  }

  /** Of the same book as the last one taken, or of the next. Trades before the first column are not shown. */
  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    const fresh = isSnapshot ? continueRun(this.#known, trades).fresh : trades;
    this.#known = [...this.#known, ...fresh].slice(-KNOWN_MAX);
    this.#waiting = [...this.#waiting, ...fresh].slice(-WAITING_MAX);
    if (this.columns.length > 0 && this.#next === "continues") this.#place();
  }

  /** Time has gone by, whether or not anything came. */
  advance(nowMs: number, { flow, paceMax, told }: MarketTime): void {
    const { columns } = this;
    const isNew = told !== null && told !== this.#told;
    this.#told = told;
    if (this.#next === "moved" && nowMs - this.#movedAtMs > MOVE_MS) this.clear();
    if (columns.length === 0 || this.#next !== "continues") return;
    const { until } = columns;
    const unseenMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    const reached = isNew ? Math.max(until, columns.atOf(BigInt(told))) : until;
    // Speed and standstill are the reader's, and say nothing of the market.
    if (paceMax !== this.#paceMax) this.#pace = paceMax;
    if (paceMax !== this.#paceMax || (this.#isHeld && flow !== "held")) this.#clock.restart(reached, nowMs);
    else if (isNew) this.#clock.take(reached, nowMs);
    this.#paceMax = paceMax;
    this.#isHeld = flow === "held";
    if (this.#isHeld) {
      columns.until = Math.max(reached, columns.at(columns.first) + HELD_NS);
      return;
    }
    this.#pace = this.#clock.pace ?? this.#pace;
    if (flow === "cut" || unseenMs > UNSEEN_MS) this.#pushGap(until);
    // A replay is held with the line, and asked for again where it was.
    if (flow === "cut" && told !== null) return;
    columns.until = Math.max(reached, this.#clock.now(nowMs, paceMax));
  }

  /** What a book does not continue is forgotten, or what of it came later. */
  #leaveWhatWas(book: Book): void {
    const { columns } = this;
    if (columns.length === 0) return;
    const at = columns.atOf(BigInt(book.tsRecv));
    if (keyOf(book) !== this.#key) this.#clearForNext();
    else if (this.#next === "moved") {
      const seenFrom = columns.at(Math.max(columns.first, this.recordedTo ?? columns.first));
      if (at >= seenFrom && at <= columns.at(columns.end - 1) + NEAR_NS) this.#cut(at);
      else this.#clearForNext();
    } else if (at < columns.at(columns.end - 1) - (this.#next === "broken" ? 0 : DISORDER_NS)) this.#clearForNext();
  }

  /** What waits is of the book that comes. */
  #clearForNext(): void {
    const [waiting, known, before] = [this.#waiting, this.#known, this.#before];
    this.clear();
    [this.#waiting, this.#known, this.#before] = [waiting, known, before];
  }

  #begin(book: Book): void {
    this.columns.begin(BigInt(book.tsRecv));
    this.#tradesTo = -1;
    // Trades of the first book's own time led to it: they are of those before.
    this.#tradesFrom = 1;
    this.#next = "continues";
  }

  #cut(at: number): void {
    this.columns.cut(at);
    this.trades.cut(at);
    this.#tradesTo = at;
    this.placed = [];
    this.generation += 1;
  }

  #pushGap(at: number): void {
    if (this.columns.kind(this.columns.end - 1) === "gap") return;
    this.columns.pushGap(at);
    this.#touched(at);
  }

  /** The trades that wait, each at its own time. */
  #place(): void {
    const { columns } = this;
    for (const { tsRecv, price, size, side } of this.#waiting) {
      const at = columns.atOf(BigInt(tsRecv));
      if (price === null || at <= this.#tradesTo) continue;
      columns.grid.learn([price]);
      const entry = { at, ticks: columns.grid.index(price), size, side };
      this.trades.push(entry);
      this.#tradesFrom = Math.min(this.#tradesFrom, at);
      this.placed.push(entry);
      if (this.placed.length > PLACED_MAX) {
        this.placed = [];
        this.generation += 1;
      }
    }
    this.#waiting = [];
  }

  #placeBefore(): void {
    const { columns } = this;
    if (this.#before === null || columns.length === 0) return;
    const from = Math.max(columns.at(columns.first), columns.atOf(this.#before.sinceNs));
    if (from >= this.#tradesFrom) return;
    const { trades } = this.#before;
    columns.grid.learn(trades.flatMap(({ price }) => (price === null ? [] : [price])));
    const placed: PlacedTrade[] = [];
    for (const { tsRecv, price, size, side } of trades) {
      const at = columns.atOf(BigInt(tsRecv));
      if (price !== null && at >= from && at < this.#tradesFrom) placed.push({ at, ticks: columns.grid.index(price), size, side });
    }
    this.#tradesFrom = from;
    this.trades.prepend(placed);
    this.generation += 1;
  }

  #touched(at: number): void {
    this.changedFrom = Math.min(this.changedFrom, at);
  }
}
