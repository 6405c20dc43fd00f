/**
 * Trades where they happened, for bubbles: a ring of TRADES_MAX in typed arrays (0.6 MB), the oldest overwritten, and bubbles
 * merged by cells of time and price, so that they stand still while the picture scrolls.
 */

export const TRADES_MAX = 20_000;

/** The aggressor's side; N where the venue does not tell. */
export type TradeSide = "B" | "A" | "N";
const SIDES: readonly TradeSide[] = ["B", "A", "N"];

export interface PlacedTrade {
  readonly column: number;
  readonly ticks: number;
  readonly size: number;
  readonly side: TradeSide;
}

/** Of all trades between two prices and two columns. */
export interface Traded {
  readonly count: number;
  readonly buySize: number;
  readonly sellSize: number;
  readonly otherSize: number;
}

export class TradeRing {
  #first = 0;
  #end = 0;
  readonly #columns = new Float64Array(TRADES_MAX);
  readonly #ticks = new Float64Array(TRADES_MAX);
  readonly #sizes = new Float64Array(TRADES_MAX);
  readonly #sides = new Uint8Array(TRADES_MAX);

  get length(): number {
    return this.#end - this.#first;
  }

  push(trade: PlacedTrade): void {
    const slot = this.#end % TRADES_MAX;
    this.#columns[slot] = trade.column;
    this.#ticks[slot] = trade.ticks;
    this.#sizes[slot] = trade.size;
    this.#sides[slot] = SIDES.indexOf(trade.side);
    this.#end += 1;
    this.#first = Math.max(this.#first, this.#end - TRADES_MAX);
  }

  clear(): void {
    this.#first = this.#end;
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
        column: this.#columns[slot] ?? 0,
        ticks: this.#ticks[slot] ?? 0,
        size: this.#sizes[slot] ?? 0,
        side: SIDES[this.#sides[slot] ?? 2] ?? "N",
      };
    }
  }

  /** In columns from `fromColumn` to before `toColumn`, and ticks likewise. */
  traded(fromColumn: number, toColumn: number, fromTicks: number, toTicks: number): Traded {
    const sum = { count: 0, buySize: 0, sellSize: 0, otherSize: 0 };
    for (const { column, ticks, size, side } of this) {
      if (column < fromColumn || column >= toColumn || ticks < fromTicks || ticks >= toTicks) continue;
      sum.count += 1;
      sum[side === "B" ? "buySize" : side === "A" ? "sellSize" : "otherSize"] += size;
    }
    return sum;
  }
}

/** One or more trades of a side, too near to each other to be drawn apart; it stands at their weighted middle. */
export interface Bubble {
  readonly side: TradeSide;
  column: number;
  ticks: number;
  size: number;
  count: number;
}

/** The first column of the cell that a column is in. */
export function cellStart(column: number, columnsPerCell: number): number {
  return Math.floor(column / columnsPerCell) * columnsPerCell;
}

export class Bubbles {
  #columnsPerCell = 1;
  #ticksPerCell = 1;
  readonly #cells = new Map<string, Bubble>();

  get columnsPerCell(): number {
    return this.#columnsPerCell;
  }

  /** Merges anew, by cells of another size. */
  rebuild(trades: Iterable<PlacedTrade>, columnsPerCell: number, ticksPerCell: number): void {
    this.#columnsPerCell = columnsPerCell;
    this.#ticksPerCell = ticksPerCell;
    this.#cells.clear();
    for (const trade of trades) this.add(trade);
  }

  add({ column, ticks, size, side }: PlacedTrade): void {
    const key = `${side}${Math.floor(column / this.#columnsPerCell)}:${Math.floor(ticks / this.#ticksPerCell)}`;
    const bubble = this.#cells.get(key);
    if (bubble === undefined) {
      this.#cells.set(key, { side, column, ticks, size, count: 1 });
      return;
    }
    const sum = bubble.size + size;
    const share = sum === 0 ? 0 : size / sum;
    bubble.column += (column - bubble.column) * share;
    bubble.ticks += (ticks - bubble.ticks) * share;
    bubble.size = sum;
    bubble.count += 1;
  }

  /** Those of columns before this one are gone from view for good. Trades come in order of time, and so do bubbles. */
  forgetBefore(column: number): void {
    for (const [key, bubble] of this.#cells) {
      if (bubble.column >= column) return;
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
