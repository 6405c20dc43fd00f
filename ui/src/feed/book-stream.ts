/**
 * One book over the socket: first a few levels, which a ladder is made of and a slow line brings soon too, then all that
 * the page shows. A line on which those do not come goes on with the few, and is tried again later.
 */

import type { Client } from "../client/client";
import { Mirror } from "../client/mirror";
import { DEPTH_CHART_LEVELS } from "./polling";

/** Twenty updates a second. */
export const STREAM_INTERVAL_MS = 50;
/** Levels of each side that come first: more than a ladder of usual height has rows for. */
export const FIRST_LEVELS = 20;
/** The first ladder is painted before all levels come, which are some hundred kilobytes. */
const WIDEN_DELAY_MS = 250;
/** Where all levels have not come after this, the line is too slow for them. */
const WIDE_MAX_MS = 10_000;
/** A socket that is lost sooner than this says nothing of the line. */
const SLOW_MS = 3_000;
/** And they are asked for again after this; after twice as long each next time. */
export const NARROW_RETRY_MS = 60_000;
const NARROW_RETRIES_MAX = 6;

export interface BookStreamSettings {
  readonly firstLevels: number;
  readonly widenDelayMs: number;
  readonly wideMaxMs: number;
  readonly narrowRetryMs: number;
}

const DEFAULTS: BookStreamSettings = {
  firstLevels: FIRST_LEVELS,
  widenDelayMs: WIDEN_DELAY_MS,
  wideMaxMs: WIDE_MAX_MS,
  narrowRetryMs: NARROW_RETRY_MS,
};

export interface BookStreamHandlers {
  onBook(mirror: Mirror, isSnapshot: boolean): void;
  onRefused(code: string, detail: string): void;
  /** A message did not fit: a snapshot is asked for. */
  onFault(): void;
}

/** first: the few levels; widening: all are asked for; wide: they came; slow: they did not. */
type Phase = "first" | "widening" | "wide" | "slow";

export class BookStream {
  readonly #client: Client;
  readonly #handlers: BookStreamHandlers;
  readonly #settings: BookStreamSettings;
  #instrument: string | null = null;
  #phase: Phase = "first";
  /** How often in a row all levels were asked for, and did not come. */
  #failures = 0;
  #askedAtMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #end: () => void = () => undefined;

  constructor(client: Client, handlers: BookStreamHandlers, settings: Partial<BookStreamSettings> = {}) {
    this.#client = client;
    this.#handlers = handlers;
    this.#settings = { ...DEFAULTS, ...settings };
  }

  /** Asks for this book anew; null: for none. On a socket that is not open yet, it is asked for when that opens. */
  follow(instrument: string | null): void {
    this.stop();
    this.#instrument = instrument;
    if (instrument !== null) this.#ask(this.#failures > 0 ? "slow" : "first");
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#end();
    this.#end = () => undefined;
    this.#instrument = null;
    this.#phase = "first";
  }

  /** The socket is lost. One that had carried nothing for long while all levels were on their way was too slow for them. */
  lost(): void {
    if (this.#phase === "widening" && performance.now() - this.#askedAtMs > SLOW_MS) this.#failures += 1;
    this.stop();
  }

  get #isNarrow(): boolean {
    return this.#phase === "first" || this.#phase === "slow";
  }

  #ask(phase: Phase): void {
    if (this.#instrument === null) return;
    clearTimeout(this.#timer);
    this.#end();
    this.#askedAtMs = performance.now();
    this.#phase = this.#settings.firstLevels >= DEPTH_CHART_LEVELS ? "wide" : phase;
    let isCome = false;
    const depth = this.#isNarrow ? this.#settings.firstLevels : DEPTH_CHART_LEVELS;
    const options = { depth, level: 3, interval_ms: STREAM_INTERVAL_MS } as const;
    this.#end = this.#client.subscribe(
      "depth",
      this.#instrument,
      {
        onUpdate: (update) => {
          if (update.kind !== "book" || !(update.book instanceof Mirror)) return;
          if (!isCome) this.#came();
          isCome = true;
          this.#handlers.onBook(update.book, update.isSnapshot);
        },
        onRefused: (code, detail) => {
          clearTimeout(this.#timer);
          this.#handlers.onRefused(code, detail);
        },
        onFault: () => {
          this.#handlers.onFault();
        },
      },
      options,
    );
    if (this.#phase === "widening") this.#after(this.#settings.wideMaxMs, () => { this.#giveUp(); });
  }

  /** The first book of those that were asked for is there. */
  #came(): void {
    clearTimeout(this.#timer);
    if (this.#phase === "widening") {
      this.#phase = "wide";
      this.#failures = 0;
    } else if (this.#isNarrow) {
      const retryMs = this.#settings.narrowRetryMs * 2 ** Math.min(this.#failures - 1, NARROW_RETRIES_MAX);
      this.#after(this.#phase === "first" ? this.#settings.widenDelayMs : retryMs, () => { this.#ask("widening"); });
    }
  }

  #giveUp(): void {
    this.#failures += 1;
    this.#ask("slow");
  }

  #after(delayMs: number, act: () => void): void {
    this.#timer = setTimeout(act, delayMs);
  }
}
