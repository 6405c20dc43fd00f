/** What the page needs from a transport: polling alone, or a WebSocket for the books. */

import type { Place, Stepped, Trade } from "../client/messages";
import type { Book, Instrument, Metrics, Problem } from "./wire";

export { Refusal as FeedRefusal } from "../client/travel";
/** Where the page stands in time: `ts` is the recorded time shown, in ns, by ts_recv. */
export type Replay = Place;
export type { Trade };

/** `book` carries queues for the ladder, `depth` all levels; `replay` is told only of refusals. */
export type Channel = "book" | "depth" | "instruments" | "metrics" | "replay";

/** The book begins a new epoch, or it is another book: of another time, or another instrument. */
export type Reset = "epoch" | "moved";

/** Whether the book on view is that of the server: no message yet; its checksum fits; it does not, and a snapshot is asked for. */
export type Check = "waiting" | "matches" | "differs";

/** The code of the problem that says so: a server that was started again has led to another moment than the one that had stood still. */
export const NO_LONGER_RECORDED = "no_longer_recorded";

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

/** What HTTP alone can tell. */
export interface RestHandlers {
  onLink(link: Link): void;
  onBook(book: Book): void;
  /** All levels that are carried, with their queues. */
  onDepth(book: Book, isSnapshot: boolean): void;
  onInstruments(instruments: readonly Instrument[]): void;
  onMetrics(metrics: Metrics): void;
  /** The server refused this channel; null when it answers again. The feed goes on asking. */
  onProblem(channel: Channel, problem: Problem | null): void;
}

export interface FeedHandlers extends RestHandlers {
  /** Of the selected instrument. */
  onTrades(trades: readonly Trade[], isSnapshot: boolean): void;
  /** The server is there, which it says every second; `isNews`: the book has moved, though perhaps not within the levels that are carried. */
  onBeat(isNews: boolean): void;
  /** How old what comes by the socket is, at most; 0 where that is not known. */
  onDelay(delayMs: number): void;
  /** Told with each answer about a replay, and every second of one; null: the books are those of now. */
  onReplay(replay: Replay | null): void;
  /** What follows does not continue what was. */
  onReset(why: Reset): void;
}

/** Each resolves when the server has done it, and rejects with a FeedRefusal { code, detail }. */
export interface Travel {
  /** `from` is in ns or ISO 8601. */
  replay(from: string, options?: { readonly speed?: number; readonly paused?: boolean }): Promise<void>;
  pausePlay(): Promise<void>;
  resumePlay(speed?: number): Promise<void>;
  /** By so many events of the selected instrument; negative: back. -> how far that led, from a server that says so. */
  step(events: number): Promise<Stepped | null>;
  seek(at: string): Promise<void>;
  live(): Promise<void>;
}

export interface RestFeed {
  start(): void;
  /** Which book, as a symbol, an instrument_id or publisher_id:instrument_id; null for none. */
  select(instrument: string | null): void;
  /** How many levels of each side the `book` channel carries. */
  setDepth(levels: number): void;
  /** Whether somebody looks at the list of instruments. */
  watchList(isWatched: boolean): void;
  retryNow(): void;
  /** The key has changed: ask anew. */
  rekeyed(): void;
  pause(): void;
  resume(): void;
  close(): void;
}

export interface Feed extends RestFeed, Travel {
  /** Of how many of the best levels of a side the pane `by` shows the queues. */
  showQueues(by: string, levels: number): void;
  /** How often a book was asked for anew, because a message did not continue it or its checksum was another. */
  readonly resyncs: number;
  /** What the last message of the selected book said of it. */
  readonly check: Check;
  /** Updates whose checksum was that of the server: no other is shown. */
  readonly verified: number;
}
