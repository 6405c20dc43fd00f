/**
 * The feed over plain HTTP: one poller per channel while the server answers, one probe at growing intervals
 * while it does not. A refusal (404, 409, …) belongs to its channel; silence, or metrics that fail, to the link.
 */

import { isNamed } from "../instrument-name";
import { retryDelayMs } from "./backoff";
import type { Channel, RestFeed, RestHandlers } from "./feed";
import { Poller } from "./poller";
import { REQUEST_TIMEOUT_MS, type Answer } from "./request";
import { parseBook, parseInstruments, parseMetrics, type Problem } from "./wire";

export const BOOK_INTERVAL_MS = 100;
export const DEPTH_INTERVAL_MS = 250;
export const SLOW_INTERVAL_MS = 1_000;
/**
 * The list of all books, which is a long one where there are hundreds, and never the same twice. While nobody looks at
 * it, the number of books in the metrics tells sooner when there is another.
 */
export const LIST_INTERVAL_MS = 10_000;
/** A refused channel is asked again this slowly. */
export const REFUSED_INTERVAL_MS = 1_000;
/** One that the server does not know after twice as long each time, up to this: that it is back, the list tells sooner. */
export const UNKNOWN_INTERVAL_MAX_MS = 16_000;
/** Levels of each side in the depth chart. */
export const DEPTH_CHART_LEVELS = 100;

export interface PollingSettings {
  readonly base: string;
  readonly bookIntervalMs: number;
  readonly depthIntervalMs: number;
  readonly slowIntervalMs: number;
  readonly listIntervalMs: number;
  readonly refusedIntervalMs: number;
  readonly timeoutMs: number;
  readonly retryDelayMs: (attempt: number) => number;
  /** The API key to ask with, if there is one. */
  readonly key: () => string | null;
  /** Whether books are polled from the start; false where something else brings them. */
  readonly polledBooks: boolean;
  /** How many orders rest in the selected live book, which no message of the stream tells; where books are not polled. */
  readonly onOrders: ((orders: number) => void) | null;
}

const DEFAULTS: PollingSettings = {
  base: "",
  bookIntervalMs: BOOK_INTERVAL_MS,
  depthIntervalMs: DEPTH_INTERVAL_MS,
  slowIntervalMs: SLOW_INTERVAL_MS,
  listIntervalMs: LIST_INTERVAL_MS,
  refusedIntervalMs: REFUSED_INTERVAL_MS,
  timeoutMs: REQUEST_TIMEOUT_MS,
  retryDelayMs: (attempt) => retryDelayMs(attempt, Math.random),
  key: () => null,
  polledBooks: true,
  onOrders: null,
};

const BOOK_CHANNELS = ["book", "depth"] as const;
const UNAUTHORIZED = 401;
const NOT_FOUND = 404;

/** `orders` is asked for in silence: where the book is refused, others say so. */
type PolledChannel = Exclude<Channel, "replay"> | "orders";

type Phase = "idle" | "connecting" | "open" | "down" | "locked" | "paused" | "closed";

export class PollingFeed implements RestFeed {
  readonly #handlers: RestHandlers;
  readonly #settings: PollingSettings;
  readonly #pollers: Readonly<Record<PolledChannel, Poller>>;
  /** How often in a row. */
  readonly #refused = new Map<Channel, number>();
  #phase: Phase = "idle";
  #attempt = 0;
  #reason = "";
  #retryTimer: ReturnType<typeof setTimeout> | null = null;
  #instrument: string | null = null;
  #levels = 10;
  #queues = 0;
  #polledBooks: boolean;
  #isListWatched = false;
  #isCounting = true;
  /** Of the list, and as the metrics told last. */
  #listed = 0;
  #books = -1;

  constructor(handlers: RestHandlers, settings: Partial<PollingSettings> = {}) {
    this.#handlers = handlers;
    this.#settings = { ...DEFAULTS, ...settings };
    this.#polledBooks = this.#settings.polledBooks;
    const { bookIntervalMs, depthIntervalMs, slowIntervalMs } = this.#settings;
    this.#pollers = {
      book: this.#poller("book", bookIntervalMs, () => this.#bookUrl(3, this.#bookLevels), (body) => {
        handlers.onBook(parseBook(body, this.#bookLevels));
      }),
      depth: this.#poller("depth", depthIntervalMs, () => this.#bookUrl(2, DEPTH_CHART_LEVELS), (body) => {
        handlers.onDepth(parseBook(body, DEPTH_CHART_LEVELS), true);
      }),
      instruments: this.#poller("instruments", slowIntervalMs, () => "/v1/instruments", (body) => {
        const instruments = parseInstruments(body);
        this.#listed = instruments.length;
        handlers.onInstruments(instruments);
        if (instruments.some((each) => isNamed(each, this.#instrument))) this.#askRefusedAgain();
      }),
      metrics: this.#poller("metrics", slowIntervalMs, () => "/v1/metrics", (body) => {
        const metrics = parseMetrics(body);
        handlers.onMetrics(metrics);
        this.#noteBooks(metrics.books);
      }),
      orders: this.#poller("orders", slowIntervalMs, () => (this.#polledBooks || !this.#isCounting ? null : this.#bookUrl(1, 1)), (body) => {
        this.#settings.onOrders?.(parseBook(body, 1).orders ?? 0);
      }),
    };
  }

  /** The list, which the first book is chosen from, is asked for besides the probe. */
  start(): void {
    if (this.#phase !== "idle") return;
    this.#probe("connecting");
    this.#pollers.instruments.restart();
  }

  select(instrument: string | null): void {
    this.#instrument = instrument;
    for (const channel of BOOK_CHANNELS) {
      this.#resolve(channel);
      if (this.#asksForBooks) this.#pollers[channel].restart();
    }
    this.#askForOrders();
  }

  setDepth(levels: number): void {
    this.#levels = levels;
    if (this.#asksForBooks) this.#pollers.book.restart();
  }

  /** Of so many of the best levels of a side queues are looked at: the `book` channel carries as many, also where its depth is less. */
  showQueues(levels: number): void {
    const before = this.#bookLevels;
    this.#queues = Math.min(levels, DEPTH_CHART_LEVELS);
    if (this.#bookLevels !== before && this.#asksForBooks) this.#pollers.book.restart();
  }

  /** Whether books are asked for here, from now on. */
  pollBooks(polled: boolean): void {
    if (this.#polledBooks === polled) return;
    this.#polledBooks = polled;
    for (const channel of BOOK_CHANNELS) {
      if (this.#asksForBooks) this.#pollers[channel].restart();
      else this.#pollers[channel].stop();
      if (!polled) this.#resolve(channel);
    }
    this.#askForOrders();
  }

  /** Whether the number of resting orders is to be asked for: not in the past, where moments of the stream tell it. */
  countOrders(isWanted: boolean): void {
    if (this.#isCounting === isWanted) return;
    this.#isCounting = isWanted;
    this.#askForOrders();
  }

  /** Somebody looks at the list: it is then as fresh as all else. */
  watchList(isWatched: boolean): void {
    if (this.#isListWatched === isWatched) return;
    this.#isListWatched = isWatched;
    if (isWatched && this.#phase === "open") this.#pollers.instruments.restart();
  }

  /** Asks at once whether the server still answers. */
  check(): void {
    if (this.#phase === "open") this.#pollers.metrics.restart();
  }

  rekeyed(): void {
    if (this.#phase === "locked" || this.#phase === "open") this.#probe("connecting");
  }

  retryNow(): void {
    if (this.#phase === "down") this.#probe("down");
  }

  pause(): void {
    if (this.#phase === "idle" || this.#phase === "closed") return;
    this.#stopAll();
    this.#phase = "paused";
    this.#handlers.onLink({ state: "paused" });
  }

  resume(): void {
    if (this.#phase === "paused") this.#probe("connecting");
  }

  close(): void {
    this.#stopAll();
    this.#phase = "closed";
  }

  get #bookLevels(): number {
    return Math.max(this.#levels, this.#queues);
  }

  get #asksForBooks(): boolean {
    return this.#phase === "open" && this.#polledBooks;
  }

  #askRefusedAgain(): void {
    if (!this.#asksForBooks) return;
    for (const channel of BOOK_CHANNELS) if (this.#refused.has(channel)) this.#pollers[channel].restart();
  }

  #askForOrders(): void {
    if (this.#phase === "open" && this.#settings.onOrders !== null) this.#pollers.orders.restart();
  }

  #noteBooks(books: number): void {
    if (books === this.#books) return;
    this.#books = books;
    if (this.#phase === "open") this.#pollers.instruments.restart();
  }

  #bookUrl(level: 1 | 2 | 3, depth: number): string | null {
    if (this.#instrument === null) return null;
    return `/v1/books/${encodeURIComponent(this.#instrument)}?level=${level}&depth=${depth}`;
  }

  #poller(channel: PolledChannel, intervalMs: number, url: () => string | null, deliver: (body: unknown) => void): Poller {
    return new Poller({
      url: () => {
        const path = url();
        return path === null ? null : this.#settings.base + path;
      },
      intervalMs,
      key: this.#settings.key,
      timeoutMs: this.#settings.timeoutMs,
      onAnswer: (answer) => this.#take(channel, intervalMs, answer, deliver),
    });
  }

  #take(
    channel: PolledChannel,
    intervalMs: number,
    answer: Exclude<Answer, { kind: "aborted" }>,
    deliver: (body: unknown) => void,
  ): number | null {
    const problem = answer.kind === "ok" ? attempt(deliver, answer.body) : answer.kind === "refused" ? answer.problem : null;
    if (answer.kind === "failed") return this.#down(answer.reason);
    if (problem?.status === UNAUTHORIZED) return this.#lock(problem);
    if (problem !== null) {
      // Metrics are always there on a server that is well, so their refusal speaks for the whole server.
      if (channel === "metrics") return this.#down(describe(problem));
      const refusedMs = Math.max(this.#settings.refusedIntervalMs, intervalMs);
      if (channel === "orders") return refusedMs;
      const before = this.#refused.get(channel) ?? 0;
      this.#refused.set(channel, before + 1);
      this.#handlers.onProblem(channel, problem);
      return problem.status === NOT_FOUND ? Math.min(refusedMs * 2 ** before, UNKNOWN_INTERVAL_MAX_MS) : refusedMs;
    }
    if (channel !== "orders") this.#resolve(channel);
    if (channel === "metrics") this.#up();
    const isLeisurely = channel === "instruments" && this.#listed > 0 && !this.#isListWatched;
    return isLeisurely ? this.#settings.listIntervalMs : intervalMs;
  }

  #resolve(channel: Channel): void {
    if (this.#refused.delete(channel)) this.#handlers.onProblem(channel, null);
  }

  #probe(phase: "connecting" | "down"): void {
    this.#stopAll();
    this.#phase = phase;
    if (phase === "connecting") this.#handlers.onLink({ state: "connecting" });
    else this.#handlers.onLink({ state: "down", reason: this.#reason, attempt: this.#attempt, retryAtMs: null });
    this.#pollers.metrics.restart();
  }

  #up(): void {
    if (this.#phase === "open") return;
    this.#phase = "open";
    this.#attempt = 0;
    this.#handlers.onLink({ state: "open", via: "polling" });
    this.#pollers.instruments.resume();
    if (this.#polledBooks) for (const channel of BOOK_CHANNELS) this.#pollers[channel].restart();
    this.#askForOrders();
  }

  #lock(problem: Problem): null {
    this.#stopAll();
    this.#phase = "locked";
    this.#attempt = 0;
    this.#handlers.onLink({ state: "locked", reason: problem.detail === "" ? problem.title : problem.detail });
    return null;
  }

  #down(reason: string): null {
    this.#stopAll();
    this.#phase = "down";
    this.#reason = reason;
    this.#attempt += 1;
    const delayMs = this.#settings.retryDelayMs(this.#attempt);
    this.#retryTimer = setTimeout(() => {
      this.#probe("down");
    }, delayMs);
    const retryAtMs = performance.now() + delayMs;
    this.#handlers.onLink({ state: "down", reason, attempt: this.#attempt, retryAtMs });
    return null;
  }

  #stopAll(): void {
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#retryTimer = null;
    for (const poller of Object.values(this.#pollers)) poller.stop();
  }
}

/** Null when the answer was taken; an answer of another shape is a problem that names the field. */
function attempt(deliver: (body: unknown) => void, body: unknown): Problem | null {
  try {
    deliver(body);
    return null;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "WireError") throw error;
    return { status: 0, title: "Unexpected answer", detail: error.message, code: "wire", traceId: "", choices: [] };
  }
}

function describe(problem: Problem): string {
  const status = problem.status === 0 ? problem.title : `the server answered ${problem.status}`;
  return problem.detail === "" ? status : `${status}: ${problem.detail}`;
}
