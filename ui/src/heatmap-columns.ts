/**
 * What the heatmap knows of one book: columns, each a book from its own time (ts_recv) until that of the next one, with the sizes
 * of up to 100 levels a side, in typed arrays. Where nothing happens there are none, and where much does, twenty a second of the page's.
 *
 * A ring: the oldest column gives its place to the newest. Its bound is COLUMNS_MAX × (2 × LEVELS_MAX × 12 bytes + 16) =
 * 29 MB, reached after ten busy minutes and not exceeded after that; memory is taken 600 columns at a time, so a short visit costs little.
 * Columns go by an absolute index, which rises with time. Times are ns since `origin`, exact in a float for a hundred days.
 */

import type { Book, Level } from "./feed/wire";
import { INDEX_MAX, PriceGrid } from "./price-grid";

export const COLUMNS_MAX = 12_000;
export const LEVELS_MAX = 100;
const CHUNK_COLUMNS = 600;
const SIDES_LEVELS = 2 * LEVELS_MAX;

/** What a column knows: a book; a book that the server itself doubts; nothing; how a book stood at the end of some seconds. */
export type Kind = "book" | "suspect" | "gap" | "recorded";
const KINDS: readonly Kind[] = ["book", "suspect", "gap", "recorded"];
const NS_PER_S = 1_000_000_000n;

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
  /** The time that all others count from, in ns since 1970: that of the first book taken. */
  origin = 0n;
  /** How far the newest column is known to reach. */
  until = 0;
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #kinds = new Uint8Array(COLUMNS_MAX);
  readonly #bids = new Uint8Array(COLUMNS_MAX);
  readonly #asks = new Uint8Array(COLUMNS_MAX);
  readonly #levelsMax = new Uint8Array(COLUMNS_MAX);
  readonly #at = new Float64Array(COLUMNS_MAX);
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

  /** The first book is of this time, which all others count from. */
  begin(origin: bigint): void {
    this.origin = origin;
    this.until = 0;
  }

  /** Of ns since 1970. */
  atOf(ts: bigint): number {
    return Number(ts - this.origin);
  }

  tsOf(at: number): bigint {
    return this.origin + BigInt(Math.floor(at));
  }

  /** A book from `at` on, not before the newest column; of several at one time the last one is kept. */
  push(book: Levels, at: number): void {
    const last = this.end - 1;
    const isSame = this.has(last) && this.at(last) === at && this.kind(last) !== "gap";
    const slot = isSame ? this.#slot(last) : this.#grow(at);
    this.grid.learn(pricesOf(book));
    this.#kinds[slot] = book.state === "suspect" ? 1 : 0;
    this.#levelsMax[slot] = Math.min(book.levelsMax, LEVELS_MAX);
    this.#bids[slot] = this.#write(slot, 0, book.bids);
    this.#asks[slot] = this.#write(slot, LEVELS_MAX, book.asks);
  }

  /** A book of so many recorded seconds from `from` on (since 1970), as it was at their end, before all that is kept. -> whether there was room. */
  prepend(book: Pick<Levels, "bids" | "asks">, from: number, stepS: number): boolean {
    if (this.length === COLUMNS_MAX) return false;
    this.grid.learn(pricesOf(book));
    const slot = this.#slot(this.first - 1);
    this.#at[slot] = this.atOf(BigInt(from) * NS_PER_S);
    this.#kinds[slot] = KINDS.indexOf("recorded");
    this.#steps[slot] = stepS;
    this.#levelsMax[slot] = LEVELS_MAX;
    this.#bids[slot] = this.#write(slot, 0, book.bids);
    this.#asks[slot] = this.#write(slot, LEVELS_MAX, book.asks);
    this.first -= 1;
    return true;
  }

  /** Nobody knows how the book stood from `at` on. */
  pushGap(at: number): void {
    const slot = this.#grow(at);
    this.#kinds[slot] = KINDS.indexOf("gap");
    this.#bids[slot] = this.#asks[slot] = this.#levelsMax[slot] = 0;
  }

  /** Forgets all that begins after this time. */
  cut(at: number): void {
    this.end = this.firstAfter(at);
    this.until = Math.min(this.until, at);
  }

  /** Of a recorded column: so many seconds are told as one. */
  stepSeconds(column: number): number {
    return this.#steps[this.#slot(column)] ?? 0;
  }

  has(column: number): boolean {
    return column >= this.first && column < this.end;
  }

  kind(column: number): Kind {
    return KINDS[this.#kinds[this.#slot(column)] ?? 0] ?? "book";
  }

  /** When the column begins: the ts_recv of its book's last event; of a gap, when what was known has ended. */
  at(column: number): number {
    return this.#at[this.#slot(column)] ?? 0;
  }

  /** The same in ns since 1970. */
  tsRecv(column: number): bigint {
    return this.tsOf(this.at(column));
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

  /** The lowest best bid and the highest best ask of these columns, in ticks; of books that have both. */
  bestSpan(from: number, to: number): { readonly low: number; readonly high: number } | null {
    let [low, high] = [Infinity, -Infinity];
    for (let column = from; column < to; column += 1) {
      const slot = this.#slot(column);
      if (this.#bids[slot] === 0 || this.#asks[slot] === 0) continue;
      const { ticks } = this.#chunk(slot);
      low = Math.min(low, ticks[base(slot)] ?? low);
      high = Math.max(high, ticks[base(slot) + LEVELS_MAX] ?? high);
    }
    return low <= high ? { low, high } : null;
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

  /** The first column that begins after this time; `end` when there is none. */
  firstAfter(at: number): number {
    let [from, to] = [this.first, this.end];
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      if (this.at(middle) <= at) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The columns that reach into a stretch of time, from and before: that which stands when it begins, and those that begin in it. */
  within(from: number, to: number): readonly [from: number, to: number] {
    if (this.length === 0 || from > this.until) return [this.end, this.end];
    let end = this.firstAfter(from);
    const begin = Math.max(this.first, end - 1);
    while (end < this.end && this.at(end) < to) end += 1;
    return [begin, end];
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

  /** -> the slot of a new column. */
  #grow(at: number): number {
    this.end += 1;
    this.first = Math.max(this.first, this.end - COLUMNS_MAX);
    const slot = this.#slot(this.end - 1);
    this.#at[slot] = at;
    this.#steps[slot] = 0;
    this.until = Math.max(this.until, at);
    return slot;
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
