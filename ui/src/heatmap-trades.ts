/**
 * Trades where they happened, for bubbles: a ring of TRADES_MAX in typed arrays (0.6 MB), the oldest overwritten, and bubbles
 * merged by cells of time and price, so that they stand still while the picture scrolls.
 */

export const TRADES_MAX = 20_000;

/** The aggressor's side; N where the venue does not tell. */
export type TradeSide = "B" | "A" | "N";
const SIDES: readonly TradeSide[] = ["B", "A", "N"];

export interface PlacedTrade {
  /** ns since the origin of the columns. */
  readonly at: number;
  readonly ticks: number;
  readonly size: number;
  readonly side: TradeSide;
}

/** Of all trades between two prices and two times. */
export interface Traded {
  readonly count: number;
  readonly buySize: number;
  readonly sellSize: number;
  readonly otherSize: number;
}

export class TradeRing {
  #first = 0;
  #end = 0;
  readonly #at = new Float64Array(TRADES_MAX);
  readonly #ticks = new Float64Array(TRADES_MAX);
  readonly #sizes = new Float64Array(TRADES_MAX);
  readonly #sides = new Uint8Array(TRADES_MAX);

  get length(): number {
    return this.#end - this.#first;
  }

  push(trade: PlacedTrade): void {
    const slot = this.#end % TRADES_MAX;
    this.#at[slot] = trade.at;
    this.#ticks[slot] = trade.ticks;
    this.#sizes[slot] = trade.size;
    this.#sides[slot] = SIDES.indexOf(trade.side);
    this.#end += 1;
    this.#first = Math.max(this.#first, this.#end - TRADES_MAX);
  }

  /** Puts trades from before all others in front, as far as there is room: the newest of them. */
  prepend(trades: readonly PlacedTrade[]): void {
    const kept = [...this];
    const room = TRADES_MAX - kept.length;
    this.clear();
    for (const trade of room === 0 ? kept : [...trades.slice(-room), ...kept]) this.push(trade);
  }

  clear(): void {
    this.#first = this.#end;
  }

  /** Forgets what came after this time. */
  cut(at: number): void {
    while (this.length > 0 && (this.#at[(this.#end - 1) % TRADES_MAX] ?? 0) > at) this.#end -= 1;
  }

  /** Prices are in a finer tick from now on. */
  refine(factor: number): void {
    for (let slot = 0; slot < TRADES_MAX; slot += 1) this.#ticks[slot] = (this.#ticks[slot] ?? 0) * factor;
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<PlacedTrade> {
    for (let at = this.#first; at < this.#end; at += 1) {
      const slot = at % TRADES_MAX;
      yield {
        at: this.#at[slot] ?? 0,
        ticks: this.#ticks[slot] ?? 0,
        size: this.#sizes[slot] ?? 0,
        side: SIDES[this.#sides[slot] ?? 2] ?? "N",
      };
    }
  }

  /** From a time on to before another, and ticks likewise. */
  traded(from: number, to: number, fromTicks: number, toTicks: number): Traded {
    const sum = { count: 0, buySize: 0, sellSize: 0, otherSize: 0 };
    for (const { at, ticks, size, side } of this) {
      if (at < from || at >= to || ticks < fromTicks || ticks >= toTicks) continue;
      sum.count += 1;
      sum[side === "B" ? "buySize" : side === "A" ? "sellSize" : "otherSize"] += size;
    }
    return sum;
  }
}

/** One or more trades of a side, too near to each other to be drawn apart; it stands at their weighted middle. */
export interface Bubble {
  readonly side: TradeSide;
  at: number;
  ticks: number;
  size: number;
  count: number;
}

/** When the cell begins that a time is in. */
export function cellStart(at: number, nsPerCell: number): number {
  return Math.floor(at / nsPerCell) * nsPerCell;
}

export class Bubbles {
  #nsPerCell = 1;
  #ticksPerCell = 1;
  readonly #cells = new Map<string, Bubble>();

  get nsPerCell(): number {
    return this.#nsPerCell;
  }

  /** Merges anew, by cells of another size. */
  rebuild(trades: Iterable<PlacedTrade>, nsPerCell: number, ticksPerCell: number): void {
    this.#nsPerCell = nsPerCell;
    this.#ticksPerCell = ticksPerCell;
    this.#cells.clear();
    for (const trade of trades) this.add(trade);
  }

  add({ at, ticks, size, side }: PlacedTrade): void {
    const key = `${side}${Math.floor(at / this.#nsPerCell)}:${Math.floor(ticks / this.#ticksPerCell)}`;
    const bubble = this.#cells.get(key);
    if (bubble === undefined) {
      this.#cells.set(key, { side, at, ticks, size, count: 1 });
      return;
    }
    const sum = bubble.size + size;
    const share = sum === 0 ? 0 : size / sum;
    bubble.at += (at - bubble.at) * share;
    bubble.ticks += (ticks - bubble.ticks) * share;
    bubble.size = sum;
    bubble.count += 1;
  }

  /** What came before this time is gone from view for good. Trades come in order of time, and so do bubbles. */
  forgetBefore(from: number): void {
    for (const [key, { at }] of this.#cells) {
      if (at >= from) return;
      this.#cells.delete(key);
    }
  }

  get all(): IterableIterator<Bubble> {
    return this.#cells.values();
  }

  get count(): number {
    return this.#cells.size;
  }

  clear(): void {
    this.#cells.clear();
  }
}
