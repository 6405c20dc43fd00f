/**
 * The feed over WebSocket for books, and over plain HTTP for the rest: instruments, metrics, refusals, and whether the
 * server answers at all. Where the socket cannot be opened, books come by HTTP too.
 */

import { retryDelayMs } from "./backoff";
import { FeedRefusal, type Feed, type FeedHandlers, type Link, type RestHandlers } from "./feed";
import type { Mirror } from "./mirror";
import { BOOK_INTERVAL_MS, DEPTH_CHART_LEVELS, PollingFeed, type PollingSettings } from "./polling";
import { request } from "./request";
import { OPEN_TIMEOUT_MS, SILENCE_MAX_MS, Stream, type StreamSettings } from "./stream";
import { keyOf, parseTicket, type Book, type Instrument } from "./wire";

export const SOCKET_PATH = "/v1/ws";
/** A refused book is asked for again this slowly. */
export const REFUSED_RETRY_MS = 1_000;

export interface StreamingSettings {
  readonly rest: Partial<PollingSettings>;
  readonly stream: Partial<StreamSettings>;
  readonly retryDelayMs: (attempt: number) => number;
  readonly key: () => string | null;
}

export class StreamingFeed implements Feed {
  readonly #handlers: FeedHandlers;
  readonly #settings: StreamingSettings;
  readonly #streamSettings: StreamSettings;
  readonly #base: string;
  readonly #rest: PollingFeed;
  /** The server answers by HTTP. */
  #isUp = false;
  #stream: Stream | null = null;
  /** The stream is open; before that it is being opened, or has failed. */
  #isStreaming = false;
  #opening: AbortController | null = null;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #refusedAtMs: number | null = null;
  #instrument: string | null = null;
  #instruments: readonly Instrument[] = [];
  #mirror: Mirror | null = null;
  #levels = 10;

  constructor(handlers: FeedHandlers, settings: Partial<StreamingSettings> = {}) {
    this.#handlers = handlers;
    const key = settings.key ?? ((): null => null);
    this.#settings = { rest: {}, stream: {}, retryDelayMs: (attempt) => retryDelayMs(attempt, Math.random), ...settings, key };
    this.#base = settings.rest?.base ?? "";
    this.#streamSettings = {
      url: socketUrl(this.#base),
      depth: DEPTH_CHART_LEVELS,
      intervalMs: BOOK_INTERVAL_MS,
      silenceMaxMs: SILENCE_MAX_MS,
      openTimeoutMs: OPEN_TIMEOUT_MS,
      ...settings.stream,
    };
    this.#rest = new PollingFeed(this.#restHandlers(), { ...settings.rest, key, polledBooks: false });
  }

  start(): void {
    this.#rest.start();
  }

  select(instrument: string | null): void {
    this.#instrument = instrument;
    this.#mirror = null;
    this.#refusedAtMs = null;
    if (this.#isStreaming) this.#rest.pollBooks(false);
    this.#rest.select(instrument);
    this.#stream?.select(instrument);
  }

  setDepth(levels: number): void {
    this.#levels = levels;
    this.#rest.setDepth(levels);
    this.#deliver();
  }

  retryNow(): void {
    this.#rest.retryNow();
  }

  pause(): void {
    this.#rest.pause();
  }

  resume(): void {
    this.#rest.resume();
  }

  /** The key has changed: ask anew. */
  rekeyed(): void {
    this.#rest.rekeyed();
  }

  close(): void {
    this.#closeStream();
    this.#rest.close();
  }

  replay(): Promise<void> {
    return this.#noStream();
  }

  pausePlay(): Promise<void> {
    return this.#noStream();
  }

  resumePlay(): Promise<void> {
    return this.#noStream();
  }

  step(): Promise<void> {
    return this.#noStream();
  }

  seek(): Promise<void> {
    return this.#noStream();
  }

  live(): Promise<void> {
    return this.#noStream();
  }

  #noStream(): Promise<void> {
    return Promise.reject(new FeedRefusal("no_stream", "the past comes by the socket only"));
  }

  #restHandlers(): RestHandlers {
    const handlers = this.#handlers;
    return {
      onLink: (link) => {
        this.#onRestLink(link);
      },
      onBook: (book) => {
        handlers.onBook(book);
        this.#askRefusedAgain();
      },
      onDepth: (book, isSnapshot) => {
        handlers.onDepth(book, isSnapshot);
      },
      onInstruments: (instruments) => {
        this.#instruments = instruments;
        handlers.onInstruments(instruments);
        // The number of resting orders is told there and not on the stream.
        this.#deliver();
      },
      onMetrics: (metrics) => {
        handlers.onMetrics(metrics);
      },
      onProblem: (channel, problem) => {
        handlers.onProblem(channel, problem);
      },
    };
  }

  #onRestLink(link: Link): void {
    this.#isUp = link.state === "open";
    if (this.#isUp) {
      if (this.#stream === null) this.#openStream();
      return;
    }
    this.#closeStream();
    this.#handlers.onLink(link);
  }

  #openStream(): void {
    this.#cancel();
    const opening = new AbortController();
    this.#opening = opening;
    void this.#ticket(opening.signal).then((ticket) => {
      if (opening.signal.aborted) return;
      this.#stream = new Stream(ticket, this.#streamHandlers(), this.#streamSettings);
      this.#stream.select(this.#instrument);
    });
  }

  /** Browsers cannot send a key with a handshake, so it is exchanged for a ticket; null without a key, or an answer. */
  async #ticket(abort: AbortSignal): Promise<string | null> {
    const key = this.#settings.key();
    if (key === null) return null;
    const options = { method: "POST", etag: null, key, abort, timeoutMs: this.#streamSettings.openTimeoutMs } as const;
    const answer = await request(`${this.#base}/v1/tickets`, options);
    return answer.kind === "ok" ? parseTicket(answer.body) : null;
  }

  #streamHandlers(): ConstructorParameters<typeof Stream>[1] {
    return {
      onOpen: () => {
        this.#isStreaming = true;
        this.#attempt = 0;
        this.#rest.pollBooks(false);
        this.#handlers.onLink({ state: "open", via: "stream" });
      },
      onMirror: (mirror) => {
        if (this.#refusedAtMs !== null) {
          this.#refusedAtMs = null;
          this.#rest.pollBooks(false);
        }
        this.#mirror = mirror;
        this.#deliver();
      },
      onNews: () => {
        this.#handlers.onNews();
      },
      onRefused: () => {
        this.#refusedAtMs = performance.now();
        this.#mirror = null;
        // Asked for by HTTP, it is refused with the reason and the choices, and found when it comes back.
        this.#rest.pollBooks(true);
      },
      onClosed: (reason) => {
        this.#onStreamClosed(reason);
      },
    };
  }

  #onStreamClosed(reason: string): void {
    console.warn(`the stream of books is closed: ${reason}`);
    const wasStreaming = this.#isStreaming;
    this.#closeStream();
    if (!this.#isUp) return;
    this.#attempt += 1;
    if (!wasStreaming) {
      this.#rest.pollBooks(true);
      this.#handlers.onLink({ state: "open", via: "polling" });
    }
    this.#timer = setTimeout(() => {
      this.#openStream();
    }, this.#settings.retryDelayMs(this.#attempt));
    // Whether the server is gone, or refuses us, its next answer tells.
    this.#rest.check();
  }

  #askRefusedAgain(): void {
    if (this.#refusedAtMs === null || performance.now() - this.#refusedAtMs < REFUSED_RETRY_MS) return;
    this.#refusedAtMs = performance.now();
    this.#stream?.retry();
  }

  #closeStream(): void {
    this.#cancel();
    this.#isStreaming = false;
    this.#refusedAtMs = null;
    this.#mirror = null;
    this.#stream?.close();
    this.#stream = null;
  }

  #cancel(): void {
    this.#opening?.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The mirror as the page's two books: the ladder's levels with their queues, and all of them for the chart. */
  #deliver(): void {
    const book = this.#book();
    if (book === null) return;
    this.#handlers.onBook({ ...book, bids: book.bids.slice(0, this.#levels), asks: book.asks.slice(0, this.#levels) });
    this.#handlers.onDepth(book, true);
  }

  #book(): Book | null {
    const mirror = this.#mirror;
    if (mirror?.facts == null) return null;
    const { instrument: name, epoch, seq, sequence, tsEvent, tsRecv, state, crossed, locked } = mirror.facts;
    const { publisherId, instrumentId, bids, asks } = mirror;
    const key = keyOf(mirror);
    const listed = this.#instruments.find((instrument) => keyOf(instrument) === key);
    const symbol = listed === undefined ? (name === key ? null : name) : listed.symbol;
    const orders = listed?.orders ?? null;
    const facts = { epoch, seq, sequence, tsEvent, tsRecv, state, crossed, locked };
    return { publisherId, instrumentId, symbol, ...facts, bids, asks, orders };
  }
}

/** The socket's address on the server that `base` names, or on the page's own. */
function socketUrl(base: string): string {
  const url = new URL(SOCKET_PATH, base === "" ? location.href : base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
