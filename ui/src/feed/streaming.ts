/**
 * The feed over WebSocket for books, trades and the past, and over plain HTTP for the rest: instruments, metrics,
 * refusals, and whether the server answers at all. Where the socket cannot be opened, books come by HTTP too.
 */

import { Client, type ClientHandlers, type ClientSettings } from "../client/client";
import type { Place, Stepped } from "../client/messages";
import type { Mirror } from "../client/mirror";
import type { Update } from "../client/subscription";
import type { TravelOp } from "../client/travel";
import { formatTime } from "../format";
import { isNamed } from "../instrument-name";
import { BookStream, STREAM_INTERVAL_MS, type BookStreamHandlers, type BookStreamSettings } from "./book-stream";
import { NO_LONGER_RECORDED, type Check, type Feed, type FeedHandlers, type Link, type RestHandlers } from "./feed";
import { PollingFeed, type PollingSettings } from "./polling";
import { request, REQUEST_TIMEOUT_MS } from "./request";
import { keyOf, parseTicket, type Book, type Instrument, type Problem } from "./wire";

export const SOCKET_PATH = "/v1/ws";
/** A refused book is asked for again this slowly. */
export const REFUSED_RETRY_MS = 1_000;
/** A page is looked at: it tries again sooner than a program would. */
const RECONNECT_DELAY_MAX_MS = 8_000;
/**
 * Browsers tell of whole messages only, so that a long one on a slow line is silence. This is longer than the server's
 * own patience with a slow reader; one that hangs is found by HTTP, which is asked every second.
 */
const SILENCE_MAX_MS = 15_000;

export interface StreamingSettings {
  readonly rest: Partial<PollingSettings>;
  readonly stream: Partial<ClientSettings>;
  readonly key: () => string | null;
  readonly book: Partial<BookStreamSettings>;
}

export class StreamingFeed implements Feed {
  readonly #handlers: FeedHandlers;
  readonly #key: () => string | null;
  readonly #base: string;
  readonly #rest: PollingFeed;
  readonly #client: Client;
  readonly #bookStream: BookStream;
  readonly #queuesShown = new Map<string, number>();
  /** The server answers by HTTP. */
  #isUp = false;
  /** The socket is open; before that it is being opened, or has failed. */
  #isStreaming = false;
  /** Nothing follows the book, as it was refused: another time, or the next answer by HTTP, may know it. */
  #refusedAtMs: number | null = null;
  #check: Check = "waiting";
  #verified = 0;
  #instrument: string | null = null;
  #instruments: readonly Instrument[] = [];
  /** Resting in the selected book, as HTTP has told last. */
  #orders: number | null = null;
  #mirror: Mirror | null = null;
  #epoch: string | null = null;
  #eventsSeen = -1;
  #levels = 10;
  #unfollow: () => void = () => undefined;
  #tradesTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(handlers: FeedHandlers, settings: Partial<StreamingSettings> = {}) {
    this.#handlers = handlers;
    this.#key = settings.key ?? ((): null => null);
    this.#base = settings.rest?.base ?? "";
    const onOrders = (orders: number): void => {
      this.#orders = orders;
      this.#deliver(null);
    };
    this.#rest = new PollingFeed(this.#restHandlers(), { ...settings.rest, key: this.#key, polledBooks: false, onOrders });
    const stream = {
      url: socketUrl(this.#base),
      ticket: () => this.#ticket(),
      reconnectDelayMaxMs: RECONNECT_DELAY_MAX_MS,
      silenceMaxMs: SILENCE_MAX_MS,
      // What is refused is asked for by HTTP at once, which tells the reader why.
      refusalsMax: 0,
      ...settings.stream,
    };
    this.#client = new Client(stream, this.#clientHandlers());
    this.#bookStream = new BookStream(this.#client, this.#bookHandlers(), settings.book);
  }

  get resyncs(): number {
    return this.#client.resyncs;
  }

  get check(): Check {
    return this.#check;
  }

  get verified(): number {
    return this.#verified;
  }

  /** Both at once: where HTTP then tells that the server is gone, or wants a key, the socket is given up. */
  start(): void {
    this.#rest.start();
    this.#client.connect();
  }

  select(instrument: string | null): void {
    this.#instrument = instrument;
    this.#mirror = null;
    this.#orders = null;
    this.#epoch = null;
    if (this.#isStreaming) this.#rest.pollBooks(false);
    this.#rest.select(instrument);
    this.#follow();
  }

  setDepth(levels: number): void {
    this.#levels = levels;
    this.#rest.setDepth(levels);
    this.#deliver(null);
  }

  showQueues(by: string, levels: number): void {
    this.#queuesShown.set(by, levels);
    const most = Math.max(...this.#queuesShown.values());
    this.#bookStream.show(most);
    this.#rest.showQueues(most);
  }

  watchList(isWatched: boolean): void {
    this.#rest.watchList(isWatched);
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
    clearTimeout(this.#tradesTimer);
    this.#bookStream.stop();
    this.#client.close();
    this.#rest.close();
  }

  async replay(from: string, options: { readonly speed?: number; readonly paused?: boolean } = {}): Promise<void> {
    await this.#go({ op: "replay", from, ...options });
  }

  async pausePlay(): Promise<void> {
    await this.#go({ op: "pause" });
  }

  async resumePlay(speed?: number): Promise<void> {
    await this.#go({ op: "resume", ...(speed === undefined ? {} : { speed }) });
  }

  step(events: number): Promise<Stepped | null> {
    return this.#go({ op: "step", events, ...(this.#instrument === null ? {} : { instrument: this.#instrument }) });
  }

  async seek(at: string): Promise<void> {
    await this.#go({ op: "seek", at });
  }

  async live(): Promise<void> {
    await this.#go({ op: "live" });
  }

  async #go(request: TravelOp): Promise<Stepped | null> {
    const stepped = await this.#client.travel(request);
    // What was refused before, or is recorded no more, is not where the page is.
    this.#handlers.onProblem("replay", null);
    return stepped;
  }

  #restHandlers(): RestHandlers {
    const handlers = this.#handlers;
    return {
      onLink: (link) => {
        this.#onRestLink(link);
      },
      onBook: (book) => {
        this.#noteEpoch(book.epoch);
        handlers.onBook(book);
        this.#askRefusedAgain();
      },
      onDepth: (book, isSnapshot) => {
        this.#noteEpoch(book.epoch);
        handlers.onDepth(book, isSnapshot);
      },
      onInstruments: (instruments) => {
        this.#instruments = instruments;
        handlers.onInstruments(instruments);
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
    const wasUp = this.#isUp;
    this.#isUp = link.state === "open";
    if (this.#isUp) {
      if (!wasUp) this.#client.connect();
      return;
    }
    this.#client.disconnect();
    this.#bookStream.stop();
    this.#isStreaming = false;
    this.#mirror = null;
    this.#handlers.onLink(link);
  }

  #clientHandlers(): ClientHandlers {
    return {
      onOpen: () => {
        this.#isStreaming = true;
        this.#eventsSeen = -1;
        this.#rest.pollBooks(false);
        this.#handlers.onLink({ state: "open", via: "stream" });
        this.#follow();
      },
      onLost: (reason, isFinal) => {
        this.#onLost(reason, isFinal);
      },
      onHeartbeat: ({ seq }) => {
        this.#handlers.onBeat(seq > this.#eventsSeen && this.#mirror !== null);
        this.#eventsSeen = seq;
      },
      onDelay: (delayMs) => {
        this.#handlers.onDelay(delayMs);
      },
      onTravel: (place, isJump) => {
        this.#onTravel(place, isJump);
      },
      onAstray: (tsEvent) => {
        const title = `${formatTime(tsEvent).short}, which was on view, is no longer recorded`;
        const detail = "the server records anew since it was started again, and this is the last that it has of the time until then";
        this.#handlers.onProblem("replay", problemOf(title, NO_LONGER_RECORDED, detail));
      },
      onStranded: ({ code, detail }) => {
        this.#handlers.onProblem("replay", problemOf("The replay could not be gone back to", code, detail));
      },
    };
  }

  #bookHandlers(): BookStreamHandlers {
    return {
      onBook: (mirror, isSnapshot) => {
        if (this.#refusedAtMs !== null) {
          this.#refusedAtMs = null;
          this.#rest.pollBooks(false);
        }
        this.#check = "matches";
        this.#verified += 1;
        this.#mirror = mirror;
        if (mirror.facts !== null) this.#noteEpoch(mirror.facts.epoch);
        this.#deliver(isSnapshot);
      },
      onRefused: (code, detail) => {
        this.#refused(code, detail);
      },
      onFault: () => {
        this.#check = "differs";
      },
    };
  }

  #onLost(reason: string, isFinal: boolean): void {
    console.warn(`the stream of books is lost: ${reason}`);
    const wasStreaming = this.#isStreaming;
    this.#bookStream.lost();
    this.#isStreaming = false;
    this.#mirror = null;
    // HTTP tells what is the matter with a server that has not answered yet.
    if (!this.#isUp) return;
    if (!wasStreaming || isFinal) {
      this.#pollIfLive();
      this.#handlers.onLink({ state: "open", via: "polling" });
    } else {
      // Until it is open again nobody knows how the book stands.
      this.#handlers.onLink({ state: "connecting" });
    }
    // Whether the server is gone, or refuses us, its next answer tells.
    this.#rest.check();
  }

  #onTravel(place: Place | null, isJump: boolean): void {
    this.#handlers.onReplay(place);
    if (!isJump) return;
    this.#rest.countOrders(place === null);
    this.#mirror = null;
    this.#check = "waiting";
    this.#epoch = null;
    this.#eventsSeen = -1;
    this.#handlers.onProblem("book", null);
    this.#handlers.onProblem("replay", null);
    this.#handlers.onReset("moved");
    if (!this.#isUp) return;
    if (!this.#isStreaming) this.#pollIfLive();
    else if (this.#refusedAtMs !== null) this.#rest.pollBooks(false);
    // Refused at the time before, or known to the past only, of which the server says no word.
    if (this.#isStreaming && (this.#refusedAtMs !== null || (place === null && !this.#isServed()))) this.#follow();
  }

  /** Whether the selected book is one of today's. */
  #isServed(): boolean {
    const name = this.#instrument;
    return this.#instruments.some((each) => isNamed(each, name));
  }

  /** HTTP is asked for the books of now: they must not stand where those of the past did. */
  #pollIfLive(): void {
    this.#rest.pollBooks(this.#client.place === null);
  }

  /** Browsers cannot send a key with a handshake, so it is exchanged for a ticket; null without a key, or an answer. */
  async #ticket(): Promise<string | null> {
    const key = this.#key();
    if (key === null) return null;
    const abort = new AbortController().signal;
    const options = { method: "POST", etag: null, key, abort, timeoutMs: REQUEST_TIMEOUT_MS } as const;
    const answer = await request(`${this.#base}/v1/tickets`, options);
    return answer.kind === "ok" ? parseTicket(answer.body) : null;
  }

  /** Asks for the selected book anew; on a socket that is not open yet, it is asked for when that opens. */
  #follow(): void {
    this.#bookStream.stop();
    this.#unfollow();
    this.#unfollow = () => undefined;
    clearTimeout(this.#tradesTimer);
    this.#refusedAtMs = null;
    this.#check = "waiting";
    const instrument = this.#instrument;
    if (instrument === null) return;
    this.#bookStream.follow(instrument);
    this.#followTrades(instrument);
  }

  #followTrades(instrument: string): void {
    const onUpdate = (update: Update): void => {
      if (update.kind !== "trades") return;
      this.#noteEpoch(update.epoch);
      this.#handlers.onTrades(update.trades, update.isSnapshot);
    };
    // Where the book is refused its trades are, and once is enough to say so; what is refused for now is followed with the next book, or alone.
    const onRefused = (code: string): void => {
      if (code === "too_many_requests") this.#tradesTimer = setTimeout(() => { this.#followTrades(instrument); }, REFUSED_RETRY_MS);
    };
    const handlers = { onUpdate, onRefused };
    this.#unfollow = this.#client.subscribe("trades", instrument, handlers, { interval_ms: STREAM_INTERVAL_MS });
  }

  #refused(code: string, detail: string): void {
    this.#mirror = null;
    this.#refusedAtMs = performance.now();
    if (this.#client.place !== null) {
      this.#handlers.onProblem("book", problemOf("The past has no such book", code, detail));
      return;
    }
    // Asked for by HTTP, it is refused with the reason and the choices, and found when it comes back.
    this.#rest.pollBooks(true);
  }

  #askRefusedAgain(): void {
    if (this.#refusedAtMs === null || performance.now() - this.#refusedAtMs < REFUSED_RETRY_MS) return;
    this.#follow();
    this.#refusedAtMs = performance.now();
  }

  #noteEpoch(epoch: string): void {
    if (epoch === this.#epoch) return;
    if (this.#epoch !== null) this.#handlers.onReset("epoch");
    this.#epoch = epoch;
  }

  /** The mirror as the page's two books: the ladder's levels, and all of them. `isSnapshot`: null where no level is news. */
  #deliver(isSnapshot: boolean | null): void {
    const book = this.#book();
    if (book === null) return;
    this.#handlers.onBook({ ...book, bids: book.bids.slice(0, this.#levels), asks: book.asks.slice(0, this.#levels) });
    if (isSnapshot !== null) this.#handlers.onDepth(book, isSnapshot);
  }

  #book(): Book | null {
    const mirror = this.#mirror;
    if (mirror?.facts == null) return null;
    const { instrument: name, epoch, seq, sequence, tsEvent, tsRecv, state, crossed, locked } = mirror.facts;
    const { publisherId, instrumentId, bids, asks } = mirror;
    const key = keyOf(mirror);
    const listed = this.#instruments.find((instrument) => keyOf(instrument) === key);
    const symbol = listed === undefined ? (name === key ? null : name) : listed.symbol;
    const orders = this.#client.place === null ? (this.#orders ?? listed?.orders ?? null) : mirror.orders;
    const facts = { epoch, seq, sequence, tsEvent, tsRecv, state, crossed, locked };
    return { publisherId, instrumentId, symbol, ...facts, bids, asks, orders, levelsMax: mirror.levelsMax };
  }
}

function problemOf(title: string, code: string, detail: string): Problem {
  return { status: 0, title, detail, code, traceId: "", choices: [] };
}

/** The socket's address on the server that `base` names, or on the page's own. */
function socketUrl(base: string): string {
  const url = new URL(SOCKET_PATH, base === "" ? location.href : base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
