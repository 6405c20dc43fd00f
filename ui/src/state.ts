/** What the page knows. Feed events change it here and nowhere else; panes only read it. */

import { keyOf, type Book, type Instrument, type Metrics, type Problem } from "./feed/wire";
import type { Channel, FeedHandlers, Link, Replay, Reset, Trade } from "./feed/feed";
import { MarketClock } from "./market-clock";
import type { PaneName } from "./pane";
import { preferencesFrom, type Preferences } from "./preferences";
import { PageMeter } from "./page-meter";
import { Telemetry } from "./telemetry";

/** A source that runs and brings nothing new for this long is called stale, a server that says nothing at all silent. */
export const STALE_AFTER_MS = 3_000;
/** What comes by a line that is so slow is called late. */
export const LATE_FROM_MS = 2_500;
/** How long the page says that an epoch has changed. */
export const RESTART_NOTICE_MS = 8_000;
/** Answers take their time on the way; a start later by more than this is the start of another process. */
const STARTED_TOLERANCE_MS = 500;

/** So many of the last trades are kept. */
export const TRADES_KEPT_MAX = 1_000;

/** Whether the book is the market's now, that of a past moment, the last of a source that has ended, or only remembered. */
export type Standing = "current" | "past" | "ended" | "last-known";

export type Part = PaneName | "settings";

export interface Restart {
  readonly what: "server" | "book";
  readonly atMs: number;
}

export class State implements FeedHandlers {
  link: Link = { state: "connecting" };
  selected: string | null = null;
  book: Book | null = null;
  depth: Book | null = null;
  instruments: readonly Instrument[] | null = null;
  metrics: Metrics | null = null;
  /** Of the selected instrument, newest last. */
  trades: readonly Trade[] = [];
  /** Null: the books are those of now. */
  replay: Replay | null = null;
  /** The order that the reader looks at closely. */
  order: string | null = null;
  preferences: Preferences = preferencesFrom({});
  readonly problems = new Map<Channel, Problem>();
  /** Parts of the page that are loaded later, and could not be. */
  readonly missing = new Set<Part>();
  /** What has been measured since the page was opened. */
  readonly telemetry = new Telemetry();
  readonly meter: PageMeter;
  restart: Restart | null = null;
  /** Why the live book is suspect; "" where it is not, or nobody has told. */
  suspectReason = "";
  /** When the book last arrived with a new seq or epoch, or when we began to wait for it. */
  changedAtMs: number;
  /** Rises with every change, so that panes know when to look. */
  revision = 0;

  readonly #now: () => number;
  #metricsAtMs = 0;
  /** When the server last said anything. */
  #heardAtMs = 0;
  #delayMs = 0;
  #clock = new MarketClock();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.meter = new PageMeter(now);
    this.changedAtMs = now();
  }

  /** Forgets the book of another instrument. */
  select(instrument: string | null): void {
    this.selected = instrument;
    this.order = null;
    this.onReset("moved");
    this.problems.delete("book");
    this.problems.delete("depth");
    this.#changed();
  }

  /** All levels, or, where those came without their queues, the best ones with them. */
  get queued(): Book | null {
    const { book, depth } = this;
    const best = depth?.bids[0] ?? depth?.asks[0];
    return best?.queue.length === 0 ? (book ?? depth) : (depth ?? book);
  }

  onLink(link: Link): void {
    // Time without a connection says nothing about the source, so the wait for news begins anew.
    if (link.state === "open") this.changedAtMs = this.#heardAtMs = this.#now();
    else this.#delayMs = 0;
    this.link = link;
    this.revision += 1;
  }

  onBook(book: Book): void {
    const before = this.book;
    this.book = book;
    this.revision += 1;
    this.#heardAtMs = this.#now();
    if (before?.epoch === book.epoch && before.seq === book.seq) return;
    this.changedAtMs = this.#heardAtMs;
    if (before === null) this.#clock = new MarketClock();
    this.#clock.take(Number(book.tsRecv), this.changedAtMs);
    if (before === null || keyOf(before) !== keyOf(book) || before.epoch === book.epoch) return;
    if (!this.#restartedLately()) this.restart = { what: "book", atMs: this.#now() };
  }

  onDepth(book: Book): void {
    this.depth = book;
    this.meter.update();
    this.revision += 1;
  }

  onTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    this.trades = (isSnapshot ? trades : [...this.trades, ...trades]).slice(-TRADES_KEPT_MAX);
    this.revision += 1;
  }

  onReplay(replay: Replay | null): void {
    // A book of now is none of then, and the other way round.
    if ((replay === null) !== (this.replay === null)) this.book = this.depth = null;
    this.replay = replay;
    this.revision += 1;
  }

  onReset(why: Reset): void {
    this.trades = [];
    // A book that begins anew stays on view until its next snapshot; one of another time or name must not.
    if (why === "moved") this.book = this.depth = null;
    this.#changed();
  }

  onInstruments(instruments: readonly Instrument[]): void {
    this.instruments = instruments;
    this.revision += 1;
  }

  onMetrics(metrics: Metrics): void {
    const nowMs = this.#now();
    if (this.#serverRestarted(metrics, nowMs)) this.restart = { what: "server", atMs: nowMs };
    this.metrics = metrics;
    this.#metricsAtMs = this.#heardAtMs = nowMs;
    // A book of the past has no place on the time line of now.
    const current = this.replay === null ? this.depth : null;
    this.telemetry.take(Date.now(), metrics, current, this.meter.take());
    this.revision += 1;
  }

  onBeat(isNews: boolean): void {
    this.#heardAtMs = this.#now();
    if (isNews) this.changedAtMs = this.#heardAtMs;
  }

  onDelay(delayMs: number): void {
    this.#delayMs = delayMs;
    this.revision += 1;
  }

  onProblem(channel: Channel, problem: Problem | null): void {
    if (problem === null) this.problems.delete(channel);
    else this.problems.set(channel, problem);
    this.revision += 1;
  }

  /** Whether a part of the page that is loaded later could be fetched. */
  onPart(name: Part, isThere: boolean): void {
    if (isThere) this.missing.delete(name);
    else this.missing.add(name);
  }

  /** A lost connection (here or of the source), a failed source, a refused book: nobody vouches for the book any more. */
  standing(): Standing {
    const source = this.metrics?.source.state;
    if (this.book === null) return this.replay === null ? "current" : "past";
    const isCut = this.link.state === "down" || this.link.state === "locked";
    if (isCut || this.problems.has("book")) return "last-known";
    // What becomes of the source, or how late it is told, does not change what has been.
    if (this.replay !== null) return "past";
    if (this.silentForMs() !== null || this.lateForMs() !== null) return "last-known";
    if (source === "failed" || source === "reconnecting") return "last-known";
    return source === "ended" ? "ended" : "current";
  }

  /** ms without a new seq while the source says that it runs; null when that is no news. */
  staleForMs(): number | null {
    const running = this.#isLive && this.metrics?.source.state === "running";
    if (!running || this.book === null || this.problems.has("book") || this.silentForMs() !== null) return null;
    const waited = this.#now() - this.changedAtMs;
    return waited >= STALE_AFTER_MS ? waited : null;
  }

  /** ms without a word from a server that is not known to be gone, which says nothing of its source; null when that is no news. */
  silentForMs(): number | null {
    const waited = this.#now() - this.#heardAtMs;
    return this.#isLive && this.book !== null && waited >= STALE_AFTER_MS ? waited : null;
  }

  /** Whether the metrics are those of now: they have come, and the server is still heard. */
  get areMetricsCurrent(): boolean {
    return this.metrics !== null && this.link.state === "open" && this.#now() - this.#heardAtMs < STALE_AFTER_MS;
  }

  /** How far behind what is shown may be, on a line that is too slow; null where that is no news. */
  lateForMs(): number | null {
    return this.#isLive && this.#delayMs >= LATE_FROM_MS && this.silentForMs() === null ? this.#delayMs : null;
  }

  get #isLive(): boolean {
    return this.link.state === "open" && this.replay === null;
  }

  /** Where the market's time has come to, ns: in the past as far as the replay; live it goes on, though nothing may happen for long, as long as the server is heard. */
  marketNs(): bigint {
    const bookNs = BigInt(this.book?.tsRecv ?? 0);
    const isRunning = this.#isLive && this.book !== null && this.metrics?.source.state === "running";
    // From a silent server's next word on it may be known how far it went: until then it is held where the silence was told.
    const nowMs = this.silentForMs() === null ? this.#now() : this.#heardAtMs + STALE_AFTER_MS;
    const wentOn = isRunning ? BigInt(Math.round(this.#clock.now(nowMs, 1))) : 0n;
    const ns = this.replay === null ? wentOn : BigInt(this.replay.ts);
    return ns > bookNs ? ns : bookNs;
  }

  #serverRestarted(metrics: Metrics, nowMs: number): boolean {
    if (this.metrics === null) return false;
    if (metrics.uptimeS < this.metrics.uptimeS) return true;
    // A new process may already have run for longer than we had known the old one. Only a lost connection makes
    // this worth a look: on a steady one a late answer would be taken for a late start.
    const startedBefore = this.#metricsAtMs - this.metrics.uptimeS * 1000;
    const started = nowMs - metrics.uptimeS * 1000;
    return this.link.state !== "open" && started > startedBefore + STARTED_TOLERANCE_MS;
  }

  /** A server's restart changes every epoch: that is one piece of news, not two. */
  #restartedLately(): boolean {
    return this.restart?.what === "server" && this.#now() - this.restart.atMs < RESTART_NOTICE_MS;
  }

  #changed(): void {
    this.changedAtMs = this.#now();
    this.revision += 1;
  }
}

/** How an instrument is called where people read it. */
export function nameOf(instrument: { symbol: string | null; publisherId: number; instrumentId: number }): string {
  return instrument.symbol ?? keyOf(instrument);
}
