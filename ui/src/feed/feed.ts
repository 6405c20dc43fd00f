/** What the page needs from a transport: polling alone, or a WebSocket for the books. */

import type { Book, Instrument, Metrics, Problem } from "./wire";

/** `book` carries queues for the ladder, `depth` more levels without them for the depth chart. */
export type Channel = "book" | "depth" | "instruments" | "metrics";

export type Link =
  | { readonly state: "connecting" }
  /** `via`: how books come; by polling only where the socket cannot be opened. */
  | { readonly state: "open"; readonly via: "stream" | "polling" }
  /** The server wants a key, or another one; nothing is asked for until it comes. */
  | { readonly state: "locked"; readonly reason: string }
  /** The tab is hidden, and nothing is asked for. */
  | { readonly state: "paused" }
  /** `retryAtMs` is on the clock of `performance.now()`; null while an attempt is under way. */
  | { readonly state: "down"; readonly reason: string; readonly attempt: number; readonly retryAtMs: number | null };

export interface FeedHandlers {
  onLink(link: Link): void;
  onBook(book: Book): void;
  onDepth(book: Book): void;
  onInstruments(instruments: readonly Instrument[]): void;
  onMetrics(metrics: Metrics): void;
  /** The book has moved, though perhaps not within the levels that are carried. */
  onNews(): void;
  /** The server refused this channel; null when it answers again. The feed goes on asking. */
  onProblem(channel: Channel, problem: Problem | null): void;
}

export interface Feed {
  start(): void;
  /** Which book, as a symbol, an instrument_id or publisher_id:instrument_id; null for none. */
  select(instrument: string | null): void;
  /** How many levels of each side the `book` channel carries. */
  setDepth(levels: number): void;
  retryNow(): void;
  /** The key has changed: ask anew. */
  rekeyed(): void;
  pause(): void;
  resume(): void;
  close(): void;
}
