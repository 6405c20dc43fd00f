/** The tape's prints: trades as rows, newest last, those of one order at one price put together where the reader wants that. */

import type { Trade } from "./feed/feed";

/** So many prints are kept; the page shows fewer. */
export const PRINTS_MAX = 500;
/** Large is judged by so many prints before. */
const RECENT_MAX = 200;
/** And by no fewer: of a handful, each would be large in its turn. */
const RECENT_MIN = 20;
const LARGE_PERCENTILE = 0.95;

export interface Print {
  /** Rises with every print, and stays when trades are added to it. */
  readonly id: number;
  /** The first of its trades. */
  readonly trade: Trade;
  readonly size: number;
  readonly trades: number;
  /** Among the largest of the prints before it. */
  readonly isLarge: boolean;
  /** Trades before this one may be missing. */
  readonly isAfterGap: boolean;
  /** From before the time gone to. */
  readonly isRecorded: boolean;
}

type Kept = Pick<Print, "trade" | "isAfterGap" | "isRecorded">;

export interface PrintOptions {
  /** Trades of one side, price and ts_event come from one order that met several: they are one print. */
  readonly isAggregated: boolean;
  readonly sizeMin: number;
}

/** What sizes have been common lately: a ring, and the size from which on one is large. */
export class RecentSizes {
  #sizes: number[] = [];
  #next = 0;
  #largeFrom = Infinity;
  #pushed = 0;

  /** From this size on a print is large. */
  get largeFrom(): number {
    return this.#largeFrom;
  }

  push(size: number): void {
    this.#sizes[this.#next] = size;
    this.#next = (this.#next + 1) % RECENT_MAX;
    this.#pushed += 1;
    // Sorted now and then: what is common does not change with every print.
    if (this.#sizes.length < RECENT_MIN || this.#pushed % 10 !== 0) return;
    const sorted = Float64Array.from(this.#sizes).sort();
    const [middle, high] = [0.5, LARGE_PERCENTILE].map((share) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
    // Where all are alike none is large.
    this.#largeFrom = Math.max(high ?? 0, (middle ?? 0) + 1);
  }

  clear(): void {
    this.#sizes = [];
    this.#next = this.#pushed = 0;
    this.#largeFrom = Infinity;
  }
}

export class Prints {
  #options: PrintOptions = { isAggregated: true, sizeMin: 0 };
  readonly #recent = new RecentSizes();
  #trades: Kept[] = [];
  #prints: Print[] = [];
  #nextId = 1;

  get options(): PrintOptions {
    return this.#options;
  }

  /** From this size on a print is large. */
  get largeFrom(): number {
    return this.#recent.largeFrom;
  }

  /** Oldest first, those that are large enough. */
  get shown(): readonly Print[] {
    const { sizeMin } = this.#options;
    return sizeMin <= 1 ? this.#prints : this.#prints.filter((print) => print.size >= sizeMin);
  }

  /** How many trades are kept; prints are made of them anew when the options change. */
  get kept(): number {
    return this.#trades.length;
  }

  setOptions(options: PrintOptions): void {
    const isRegrouped = options.isAggregated !== this.#options.isAggregated;
    this.#options = options;
    if (isRegrouped) this.#rebuild(this.#trades);
  }

  take(trades: readonly Trade[], isAfterGap: boolean): void {
    trades.forEach((trade, index) => {
      this.#push({ trade, isAfterGap: isAfterGap && index === 0, isRecorded: false });
    });
  }

  /** Recorded ones from before all others. */
  takeBefore(trades: readonly Trade[]): void {
    const before = trades.slice(-PRINTS_MAX).map((trade) => ({ trade, isAfterGap: false, isRecorded: true }));
    this.#rebuild([...before, ...this.#trades]);
  }

  clear(): void {
    this.#trades = [];
    this.#prints = [];
    this.#recent.clear();
  }

  #rebuild(trades: readonly Kept[]): void {
    this.clear();
    for (const kept of trades) this.#push(kept);
  }

  #push(kept: Kept): void {
    const { trade, isAfterGap, isRecorded } = kept;
    this.#trades.push(kept);
    // Cut in one go now and then: cutting with every trade would copy all of them each time.
    if (this.#trades.length >= 2 * PRINTS_MAX) this.#trades = this.#trades.slice(-PRINTS_MAX);
    const last = this.#prints.at(-1);
    if (last?.isRecorded === isRecorded && !isAfterGap && this.#options.isAggregated && isOneOrder(last.trade, trade)) {
      const size = last.size + trade.size;
      this.#prints[this.#prints.length - 1] = { ...last, size, trades: last.trades + 1, isLarge: size >= this.largeFrom };
      return;
    }
    if (last !== undefined) this.#recent.push(last.size);
    this.#prints.push({ id: this.#nextId, trade, size: trade.size, trades: 1, isLarge: trade.size >= this.largeFrom, isAfterGap, isRecorded });
    this.#nextId += 1;
    if (this.#prints.length >= 2 * PRINTS_MAX) this.#prints = this.#prints.slice(-PRINTS_MAX);
  }
}

function isOneOrder(a: Trade, b: Trade): boolean {
  return a.side !== "N" && a.side === b.side && a.price === b.price && a.tsEvent === b.tsEvent;
}
