/**
 * The last ten minutes of one book: a column each 50 ms with the sizes of up to 100 levels a side, in typed arrays.
 *
 * A ring: the oldest column gives its place to the newest. Its bound is COLUMNS_MAX × (2 × LEVELS_MAX × 12 bytes + 16) =
 * 29 MB, reached after ten minutes and not exceeded after that; memory is taken 30 seconds at a time, so a short visit costs little.
 * Columns go by an absolute index, which rises with time.
 */

import type { Book, Level } from "./feed/wire";
import { INDEX_MAX, PriceGrid } from "./price-grid";

export const COLUMN_INTERVAL_MS = 50;
export const COLUMNS_MAX = 12_000;
export const LEVELS_MAX = 100;
const CHUNK_COLUMNS = 600;
const SIDES_LEVELS = 2 * LEVELS_MAX;

/** What a column knows: a book; a book that the server itself doubts; nothing; how a book stood some seconds apart. */
export type Kind = "book" | "suspect" | "gap" | "recorded";
const KINDS: readonly Kind[] = ["book", "suspect", "gap", "recorded"];
const NS_PER_COLUMN = BigInt(COLUMN_INTERVAL_MS) * 1_000_000n;
const COLUMNS_PER_S = 1_000 / COLUMN_INTERVAL_MS;

type Levels = Pick<Book, "bids" | "asks" | "tsRecv" | "state" | "levelsMax">;
type Side = "B" | "A";

interface Chunk {
  readonly ticks: Int32Array;
  readonly sizes: Float64Array;
}

/** What rests between two prices at one moment. */
export interface Resting {
  readonly bidSize: number;
  readonly askSize: number;
  readonly levels: number;
}

export class Columns {
  readonly grid = new PriceGrid((factor) => {
    this.#refine(factor);
  });
  /** Index of the oldest column kept, and the one after the newest. */
  first = 0;
  end = 0;
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #kinds = new Uint8Array(COLUMNS_MAX);
  readonly #bids = new Uint8Array(COLUMNS_MAX);
  readonly #asks = new Uint8Array(COLUMNS_MAX);
  readonly #levelsMax = new Uint8Array(COLUMNS_MAX);
  readonly #ts = new BigUint64Array(COLUMNS_MAX);
  readonly #steps = new Uint8Array(COLUMNS_MAX);
  readonly #onFiner: (factor: number) => void;

  constructor(onFiner: (factor: number) => void = () => undefined) {
    this.#onFiner = onFiner;
  }

  get length(): number {
    return this.end - this.first;
  }

  clear(): void {
    this.first = this.end;
    this.grid.clear();
  }

  push(book: Levels): void {
    this.#grow();
    this.replaceLast(book);
  }

  /** The newest column shows this book: several of one interval are one column. */
  replaceLast(book: Levels): void {
    const slot = this.#slot(this.end - 1);
    this.grid.learn(pricesOf(book));
    this.#kinds[slot] = book.state === "suspect" ? 1 : 0;
    this.#ts[slot] = BigInt(book.tsRecv);
    this.#levelsMax[slot] = Math.min(book.levelsMax, LEVELS_MAX);
    this.#bids[slot] = this.#write(slot, 0, book.bids);
    this.#asks[slot] = this.#write(slot, LEVELS_MAX, book.asks);
  }

  /**
   * A book of so many recorded seconds from `from` on (since 1970), as it was at their end, before all that is kept.
   * -> whether there was room.
   */
  prepend(book: Pick<Levels, "bids" | "asks">, from: number, stepS: number): boolean {
    const count = stepS * COLUMNS_PER_S;
    if (this.length + count > COLUMNS_MAX) return false;
    this.grid.learn(pricesOf(book));
    const endNs = BigInt(from + stepS) * 1_000_000_000n;
    const last = this.#slot(this.first - 1);
    for (let place = 1; place <= count; place += 1) {
      const slot = this.#slot(this.first - place);
      if (place > 1) this.#copy(last, slot);
      else {
        this.#kinds[slot] = KINDS.indexOf("recorded");
        this.#steps[slot] = stepS;
        this.#levelsMax[slot] = LEVELS_MAX;
        this.#bids[slot] = this.#write(slot, 0, book.bids);
        this.#asks[slot] = this.#write(slot, LEVELS_MAX, book.asks);
      }
      this.#ts[slot] = endNs - BigInt(place - 1) * NS_PER_COLUMN - 1n;
    }
    this.first -= count;
    return true;
  }

  /** Of a recorded column: so many seconds are told as one. */
  stepSeconds(column: number): number {
    return this.#steps[this.#slot(column)] ?? 0;
  }

  /** The book stands as it did. */
  repeat(): void {
    const from = this.#slot(this.end - 1);
    this.#grow();
    this.#copy(from, this.#slot(this.end - 1));
  }

  #copy(from: number, to: number): void {
    this.#kinds[to] = this.#kinds[from] ?? 0;
    this.#steps[to] = this.#steps[from] ?? 0;
    this.#ts[to] = this.#ts[from] ?? 0n;
    this.#levelsMax[to] = this.#levelsMax[from] ?? 0;
    const [bids, asks] = [this.#bids[from] ?? 0, this.#asks[from] ?? 0];
    this.#bids[to] = bids;
    this.#asks[to] = asks;
    const [source, target] = [this.#chunk(from), this.#chunk(to)];
    const [sourceBase, targetBase] = [base(from), base(to)];
    for (const [offset, count] of [[0, bids], [LEVELS_MAX, asks]] as const) {
      const [begin, stop] = [sourceBase + offset, sourceBase + offset + count];
      target.ticks.set(source.ticks.subarray(begin, stop), targetBase + offset);
      target.sizes.set(source.sizes.subarray(begin, stop), targetBase + offset);
    }
  }

  /** Nobody knows how the book stood. */
  pushGap(): void {
    const ts = this.length === 0 ? 0n : this.tsRecv(this.end - 1);
    this.#grow();
    const slot = this.#slot(this.end - 1);
    this.#kinds[slot] = KINDS.indexOf("gap");
    this.#ts[slot] = ts;
    this.#bids[slot] = this.#asks[slot] = this.#levelsMax[slot] = 0;
  }

  has(column: number): boolean {
    return column >= this.first && column < this.end;
  }

  kind(column: number): Kind {
    return KINDS[this.#kinds[this.#slot(column)] ?? 0] ?? "book";
  }

  /** ns, of the last event in the column's book; in a gap, of the last one before it. */
  tsRecv(column: number): bigint {
    return this.#ts[this.#slot(column)] ?? 0n;
  }

  /** Ticks of the best price of a side; null where the side is empty or unknown. */
  best(column: number, side: Side): number | null {
    return this.level(column, side, 0)?.ticks ?? null;
  }

  /** The level at this place of its side, 0 the best; null where there is none. */
  level(column: number, side: Side, place: number): { ticks: number; size: number } | null {
    const slot = this.#slot(column);
    if (place >= this.#count(slot, side)) return null;
    const at = base(slot) + (side === "B" ? 0 : LEVELS_MAX) + place;
    const chunk = this.#chunk(slot);
    return { ticks: chunk.ticks[at] ?? 0, size: chunk.sizes[at] ?? 0 };
  }

  count(column: number, side: Side): number {
    return this.#count(this.#slot(column), side);
  }

  /** Adds the sizes to rows of `rowTicks` ticks; row 0 holds the ticks from `bottom` × rowTicks on. */
  bin(column: number, rows: Float64Array, bottom: number, rowTicks: number): void {
    this.binSide(column, "B", rows, bottom, rowTicks);
    this.binSide(column, "A", rows, bottom, rowTicks);
  }

  /** The same with the sizes of one side. */
  binSide(column: number, side: Side, rows: Float64Array, bottom: number, rowTicks: number): void {
    const slot = this.#slot(column);
    const { ticks, sizes } = this.#chunk(slot);
    const from = base(slot) + (side === "B" ? 0 : LEVELS_MAX);
    const end = from + this.#count(slot, side);
    for (let at = from; at < end; at += 1) {
      const row = Math.floor((ticks[at] ?? 0) / rowTicks) - bottom;
      if (row >= 0 && row < rows.length) rows[row] = (rows[row] ?? 0) + (sizes[at] ?? 0);
    }
  }

  /** What rests at `from` ticks and above, below `to`. */
  resting(column: number, from: number, to: number): Resting {
    const sum = { bidSize: 0, askSize: 0, levels: 0 };
    for (const side of ["B", "A"] as const) {
      for (let place = 0; place < this.count(column, side); place += 1) {
        const level = this.level(column, side, place);
        if (level === null || level.ticks < from || level.ticks >= to) continue;
        sum[side === "B" ? "bidSize" : "askSize"] += level.size;
        sum.levels += 1;
      }
    }
    return sum;
  }

  /** How many levels of a side were asked for. */
  levelsMax(column: number): number {
    return this.#levelsMax[this.#slot(column)] ?? 0;
  }

  /** Whether all that rests at these ticks is told. */
  isKnown(column: number, ticks: number): boolean {
    const [lowest, highest] = this.known(column);
    return ticks >= lowest && ticks <= highest;
  }

  /** The lowest and the highest ticks of which all is told: beyond the last of a full side nothing is known, or of a recorded one. */
  known(column: number): readonly [lowest: number, highest: number] {
    const last = (side: Side): number => (this.kind(column) === "recorded" ? this.count(column, side) : this.levelsMax(column)) - 1;
    return [this.level(column, "B", last("B"))?.ticks ?? -Infinity, this.level(column, "A", last("A"))?.ticks ?? Infinity];
  }

  /** The first column with an event at this time or later; `end` when there is none. */
  columnAt(ts: bigint): number {
    let [from, to] = [this.first, this.end];
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      if (this.tsRecv(middle) < ts) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  #write(slot: number, offset: number, levels: readonly Level[]): number {
    const { ticks, sizes } = this.#chunk(slot);
    const begin = base(slot) + offset;
    let count = 0;
    for (const level of levels) {
      if (count === LEVELS_MAX) break;
      const index = this.grid.index(level.price);
      // So far out lies no real order.
      if (Math.abs(index) > INDEX_MAX) continue;
      ticks[begin + count] = index;
      sizes[begin + count] = level.size;
      count += 1;
    }
    return count;
  }

  #grow(): void {
    this.end += 1;
    this.first = Math.max(this.first, this.end - COLUMNS_MAX);
  }

  #count(slot: number, side: Side): number {
    return (side === "B" ? this.#bids[slot] : this.#asks[slot]) ?? 0;
  }

  #slot(column: number): number {
    return ((column % COLUMNS_MAX) + COLUMNS_MAX) % COLUMNS_MAX;
  }

  #chunk(slot: number): Chunk {
    const index = Math.floor(slot / CHUNK_COLUMNS);
    return (this.#chunks[index] ??= {
      ticks: new Int32Array(CHUNK_COLUMNS * SIDES_LEVELS),
      sizes: new Float64Array(CHUNK_COLUMNS * SIDES_LEVELS),
    });
  }

  #refine(factor: number): void {
    for (const chunk of this.#chunks) {
      if (chunk === undefined) continue;
      const { ticks } = chunk;
      for (let at = 0; at < ticks.length; at += 1) ticks[at] = (ticks[at] ?? 0) * factor;
    }
    this.#onFiner(factor);
  }
}

function base(slot: number): number {
  return (slot % CHUNK_COLUMNS) * SIDES_LEVELS;
}

function* pricesOf(book: Pick<Levels, "bids" | "asks">): Generator<string> {
  for (const { price } of book.bids) yield price;
  for (const { price } of book.asks) yield price;
}
