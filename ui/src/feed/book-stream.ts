/**
 * One book over the socket: all levels that the page shows, and the queues of the best of them, which are nearly all of its
 * bytes. The first few queues make a ladder of usual height, and a slow line brings them soon too; those of more levels are
 * asked for where the ladder shows more. A line on which they do not come goes on with the few, and is tried again later.
 */

import type { Client } from "../client/client";
import { Mirror } from "../client/mirror";
import { DEPTH_CHART_LEVELS } from "./polling";

/** Twenty updates a second. */
export const STREAM_INTERVAL_MS = 50;
/** Levels of each side whose queues come first: as many as a ladder of usual height has rows for, and never fewer. */
const FIRST_QUEUES = 30;
/** More of them are asked for by so many, so that not every line that a window grows by asks anew. */
const QUEUES_STEP = 10;
/** The first ladder is painted before more is asked for. */
const WIDEN_DELAY_MS = 250;
/** Where more has not come after this, the line is too slow for it. */
const WIDE_MAX_MS = 10_000;
/** A server may be set to give fewer levels than the page shows, and does not say how many: these are tried in turn. */
const LEVELS = [DEPTH_CHART_LEVELS, 50, 20, 10, 5, 2, 1] as const;
/** A socket that is lost sooner than this says nothing of the line. */
const SLOW_MS = 3_000;
/** And it is asked for again after this; after twice as long each next time. */
const NARROW_RETRY_MS = 60_000;
const NARROW_RETRIES_MAX = 6;
/**
 * Queues that nobody has looked at for so long are asked for no more: not sooner, as each other subscription begins with a
 * snapshot, across which nothing is counted, and a book that crosses now and then would ask again and again.
 */
const UNSEEN_MAX_MS = 60_000;

export interface BookStreamSettings {
  readonly firstQueues: number;
  readonly widenDelayMs: number;
  readonly wideMaxMs: number;
  readonly narrowRetryMs: number;
  readonly unseenMaxMs: number;
}

const DEFAULTS: BookStreamSettings = {
  firstQueues: FIRST_QUEUES,
  widenDelayMs: WIDEN_DELAY_MS,
  wideMaxMs: WIDE_MAX_MS,
  narrowRetryMs: NARROW_RETRY_MS,
  unseenMaxMs: UNSEEN_MAX_MS,
};

export interface BookStreamHandlers {
  onBook(mirror: Mirror, isSnapshot: boolean): void;
  onRefused(code: string, detail: string): void;
  /** A message did not fit: a snapshot is asked for. */
  onFault(): void;
}

/** first: the few queues; widening: more are asked for; wide: they came; slow: they did not. */
type Phase = "first" | "widening" | "wide" | "slow";

export class BookStream {
  readonly #client: Client;
  readonly #handlers: BookStreamHandlers;
  readonly #settings: BookStreamSettings;
  #levelsTry = 0;
  #instrument: string | null = null;
  #phase: Phase = "first";
  /** Whether the first book of those that were asked for is there. */
  #isCome = false;
  /** How often in a row more queues were asked for, and did not come. */
  #failures = 0;
  #askedAtMs = 0;
  /** Levels of each side whose queues are shown, those that are asked for, and since when fewer would do. */
  #shown = 0;
  #queues = 0;
  #fewerSinceMs: number | null = null;
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
    this.#timer = undefined;
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

  /** So many of the best levels of each side are looked at. */
  show(levels: number): void {
    this.#shown = levels;
    const wanted = this.#wanted;
    if (wanted >= this.#queues) this.#fewerSinceMs = null;
    else this.#fewerSinceMs ??= performance.now();
    if (this.#instrument === null || !this.#isCome || this.#phase === "slow") return;
    if (wanted > this.#queues) {
      if (this.#phase === "wide") this.#ask("widening");
      else this.#widenSoon(this.#settings.widenDelayMs);
    } else if (this.#fewerSinceMs !== null && performance.now() - this.#fewerSinceMs > this.#settings.unseenMaxMs) {
      this.#ask(wanted > this.#settings.firstQueues ? "widening" : "first");
    }
  }

  get #isNarrow(): boolean {
    return this.#phase === "first" || this.#phase === "slow";
  }

  /** Queues to ask for, by what is shown. */
  get #wanted(): number {
    if (this.#shown <= this.#settings.firstQueues) return this.#settings.firstQueues;
    return Math.min(Math.ceil(this.#shown / QUEUES_STEP) * QUEUES_STEP, DEPTH_CHART_LEVELS);
  }

  /** Of each side, as far as the server allows. */
  get #levels(): number {
    return LEVELS[this.#levelsTry] ?? 1;
  }

  #ask(phase: Phase): void {
    if (this.#instrument === null) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#end();
    this.#askedAtMs = performance.now();
    this.#phase = phase;
    this.#queues = this.#isNarrow ? this.#settings.firstQueues : this.#wanted;
    this.#fewerSinceMs = null;
    this.#isCome = false;
    const levels = this.#levels;
    const options = { depth: levels, level: 3, queues: Math.min(this.#queues, levels), interval_ms: STREAM_INTERVAL_MS } as const;
    this.#end = this.#client.subscribe(
      "depth",
      this.#instrument,
      {
        onUpdate: (update) => {
          if (update.kind !== "book" || !(update.book instanceof Mirror)) return;
          if (!this.#isCome) this.#came();
          this.#handlers.onBook(update.book, update.isSnapshot);
        },
        onRefused: (code, detail) => {
          clearTimeout(this.#timer);
          if (code === "bad_parameter" && levels > 1) {
            this.#levelsTry += 1;
            this.#ask(phase);
          } else this.#handlers.onRefused(code, detail);
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
    this.#timer = undefined;
    this.#isCome = true;
    if (this.#phase === "widening") {
      this.#phase = "wide";
      this.#failures = 0;
    } else if (this.#phase === "slow") {
      this.#widenSoon(this.#settings.narrowRetryMs * 2 ** Math.min(this.#failures - 1, NARROW_RETRIES_MAX));
    } else if (this.#wanted > this.#queues) {
      this.#widenSoon(this.#settings.widenDelayMs);
    }
  }

  /** Once, however often it is said. */
  #widenSoon(delayMs: number): void {
    if (this.#timer !== undefined) return;
    this.#after(delayMs, () => {
      if (this.#wanted > this.#queues) this.#ask("widening");
      else this.#phase = "first";
    });
  }

  #giveUp(): void {
    this.#failures += 1;
    this.#ask("slow");
  }

  #after(delayMs: number, act: () => void): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      act();
    }, delayMs);
  }
}
