/** Where an order stands in the book that the page has anyway, and when the server has to be asked about it. */

import type { Book, Level, QueueEntry } from "../feed/wire";
import type { Place } from "../order";

export interface Located {
  readonly side: "B" | "A";
  readonly price: string;
  readonly size: number;
  readonly place: Place;
  /** Those to be traded before it, the first first. */
  readonly ahead: readonly QueueEntry[];
  /** The level it was found in; as long as the book has the same, nothing has changed. */
  readonly level: Level;
}

/** Null: it does not rest, or not within these levels. `before` says where to look first. */
export function locate(book: Pick<Book, "bids" | "asks">, orderId: string, before: Located | null): Located | null {
  if (before !== null) {
    const same = levelsOf(book, before.side).find((level) => level.price === before.price);
    if (same === before.level) return before;
    // Its level has fallen behind those that carry their queues, and is asked for with it: until then nothing better is known.
    if (same !== undefined && same.count > 0 && same.queue.length === 0) return before;
    const found = same === undefined ? null : within(same, before.side, orderId);
    if (found !== null) return found;
  }
  for (const side of ["B", "A"] as const) {
    for (const level of levelsOf(book, side)) {
      const found = within(level, side, orderId);
      if (found !== null) return found;
    }
  }
  return null;
}

function levelsOf(book: Pick<Book, "bids" | "asks">, side: "B" | "A"): readonly Level[] {
  return side === "B" ? book.bids : book.asks;
}

function within(level: Level, side: "B" | "A", orderId: string): Located | null {
  const at = level.queue.findIndex((entry) => entry[0] === orderId);
  const entry = level.queue[at];
  if (entry === undefined) return null;
  const [, size, tsEvent] = entry;
  const ahead = level.queue.slice(0, at);
  const behind = level.queue.slice(at + 1);
  const place = {
    tsEvent,
    ordersAhead: ahead.length,
    sizeAhead: sizeOf(ahead),
    ordersBehind: behind.length,
    sizeBehind: sizeOf(behind),
  };
  return { side, price: level.price, size, place, ahead, level };
}

function sizeOf(queue: readonly QueueEntry[]): number {
  return queue.reduce((sum, [, size]) => sum + size, 0);
}

/** An answer about what has just changed may come before the record of it, which follows within a second. */
const FOLLOW_MS = 1_200;
/** Of an order that rests beyond the levels carried, or in a past that moves. */
const WATCH_MS = 2_000;
const RETRY_MS = 3_000;
/** All that is recorded is there already: an answer about a past that stands still has not to wait for it. */
const PAST_DELAY_MS = 250;

/** Of an order that is not told of, a past that plays asks ever more rarely: after twice as long each time, so often doubled. */
const DOUBLINGS_MAX = 5;

/** When to ask: at once, once more when the records have followed, and again and again where nothing else tells. */
export class AskTimes {
  #dueAtMs: number | null = null;
  #isAsking = false;
  /** Answers in a row that told nothing of the order. */
  #missed = 0;

  /** Whether the last answer told nothing of it: no more is asked by itself where the time stands still. */
  get isMissing(): boolean {
    return this.#missed > 0;
  }

  /** Of another order, or of another time. */
  begin(nowMs: number): void {
    this.#dueAtMs = nowMs;
    this.#isAsking = false;
    this.#missed = 0;
  }

  stop(): void {
    this.#dueAtMs = null;
    this.#isAsking = false;
  }

  /** The order has changed, or has gone. */
  changed(nowMs: number, delayMs = FOLLOW_MS): void {
    this.#dueAtMs = Math.min(this.#dueAtMs ?? Infinity, nowMs + delayMs);
  }

  /** The time on view is another: at once where it stands still, as all that is recorded of it is there already. */
  moved(nowMs: number, isPlaying: boolean): void {
    this.changed(nowMs, isPlaying ? WATCH_MS * 2 ** Math.min(this.#missed, DOUBLINGS_MAX) : PAST_DELAY_MS);
  }

  /** Whether to ask now; then the answer is waited for. */
  take(nowMs: number): boolean {
    if (this.#isAsking || this.#dueAtMs === null || nowMs < this.#dueAtMs) return false;
    this.#isAsking = true;
    this.#dueAtMs = null;
    return true;
  }

  /** `again`: nothing but another answer will tell what becomes of it; `missed`: the server told nothing of it. */
  answered(nowMs: number, { failed, again, missed }: { failed: boolean; again: boolean; missed: boolean }): void {
    this.#isAsking = false;
    this.#missed = missed ? this.#missed + 1 : failed ? this.#missed : 0;
    if (failed || again) this.#dueAtMs ??= nowMs + (failed ? RETRY_MS : WATCH_MS);
  }
}
