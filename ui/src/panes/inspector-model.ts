/** Where an order stands in the book that the page has anyway, and when the server has to be asked about it. */

import type { Replay } from "../feed/feed";
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

/** How long after a change of the time on view the server is asked about that time. */
export function pastDelayMs(replay: Pick<Replay, "state"> | null): number {
  return replay?.state === "playing" ? WATCH_MS : PAST_DELAY_MS;
}

/** When to ask: at once, once more when the records have followed, and again and again where nothing else tells. */
export class AskTimes {
  #dueAtMs: number | null = null;
  #isAsking = false;

  /** Of another order, or of another time. */
  begin(nowMs: number): void {
    this.#dueAtMs = nowMs;
    this.#isAsking = false;
  }

  stop(): void {
    this.#dueAtMs = null;
    this.#isAsking = false;
  }

  /** The order has changed, or has gone. */
  changed(nowMs: number, delayMs = FOLLOW_MS): void {
    this.#dueAtMs = Math.min(this.#dueAtMs ?? Infinity, nowMs + delayMs);
  }

  /** Whether to ask now; then the answer is waited for. */
  take(nowMs: number): boolean {
    if (this.#isAsking || this.#dueAtMs === null || nowMs < this.#dueAtMs) return false;
    this.#isAsking = true;
    this.#dueAtMs = null;
    return true;
  }

  /** `again`: nothing but another answer will tell what becomes of it. */
  answered(nowMs: number, { failed, again }: { failed: boolean; again: boolean }): void {
    this.#isAsking = false;
    if (failed || again) this.#dueAtMs ??= nowMs + (failed ? RETRY_MS : WATCH_MS);
  }
}
