/** One subscription of a client: what it follows, and where it stands. Knows no socket. */

import { Mirror, OutOfStep } from "./mirror";
import type { Ack, Channel, ClientMessage, Gap, Trade } from "./messages";
import { OrderBook } from "./order-book";
import { beginsAnew } from "./records";

const LEVELS_UNLESS_TOLD = 10;

export interface SubscribeOptions {
  readonly depth?: number;
  readonly level?: 2 | 3;
  /** With level 3: only the best so many levels a side carry their queues. */
  readonly queues?: number;
  readonly interval_ms?: 10 | 50 | 100 | 250 | 1000;
}

export type Update =
  /** A book of levels, or of orders, as of now; it goes on changing with the next update. */
  | { readonly kind: "book"; readonly isSnapshot: boolean; readonly book: Mirror | OrderBook }
  | { readonly kind: "trades"; readonly isSnapshot: boolean; readonly epoch: string; readonly trades: readonly Trade[] }
  /** Whole DBN records; a decoder has to be started anew where `isSnapshot`. */
  | { readonly kind: "records"; readonly isSnapshot: boolean; readonly bytes: Uint8Array }
  /** Changes are lost; a snapshot follows. */
  | { readonly kind: "gap"; readonly gap: Gap };

export interface SubscriptionHandlers {
  onUpdate(update: Update): void;
  /** The server will not do it, and nothing follows. */
  onRefused(code: string, detail: string): void;
  /** A message did not fit: a snapshot is asked for, and what was told last may be wrong. */
  onFault?(): void;
}

/** idle: not asked for, or waiting until it is time; asked: the ack has not come yet. */
export type Phase = "idle" | "asked" | "live" | "ended";

export class Following {
  readonly channel: Channel;
  readonly instrument: string;
  readonly options: SubscribeOptions;
  readonly handlers: SubscriptionHandlers;
  phase: Phase = "idle";
  requestId = 0;
  /** Whether it has been live: then a refusal may be for now only, as by a server that has just started. */
  wasLive = false;
  resyncsInARow = 0;
  timer: ReturnType<typeof setTimeout> | null = null;
  #ack: Ack | null = null;
  #book: Mirror | OrderBook | null = null;
  /** Of trades, whose messages have no book to be checked by. */
  #at: { readonly epoch: string; readonly seq: number } | null = null;

  constructor(channel: Channel, instrument: string, options: SubscribeOptions, handlers: SubscriptionHandlers) {
    this.channel = channel;
    this.instrument = instrument;
    this.options = options;
    this.handlers = handlers;
  }

  /** What messages of it carry, once it is live. */
  get ack(): Ack | null {
    return this.phase === "live" ? this.#ack : null;
  }

  /** Messages of this book carry another name from now on. */
  rename(ack: Ack): void {
    const isIts = this.#ack?.publisherId === ack.publisherId && this.#ack.instrumentId === ack.instrumentId;
    if (isIts) this.#ack = ack;
  }

  acknowledge(ack: Ack): void {
    this.phase = "live";
    this.wasLive = true;
    this.#ack = ack;
    this.#at = null;
    const levels = this.channel === "bbo" ? 1 : (this.options.depth ?? LEVELS_UNLESS_TOLD);
    if (this.channel === "orders") this.#book = new OrderBook();
    else this.#book = this.channel === "trades" || this.channel === "dbn" ? null : new Mirror(levels);
  }

  /** Throws OutOfStep where a message does not fit. */
  take(body: ClientMessage["body"]): void {
    switch (body.type) {
      case "snapshot":
      case "delta":
        if (!(this.#book instanceof Mirror)) return;
        this.#book.apply(body);
        this.#tell(body.type === "snapshot", this.#book);
        break;
      case "orders snapshot":
      case "orders delta":
        if (!(this.#book instanceof OrderBook)) return;
        this.#book.apply(body);
        this.#tell(body.type === "orders snapshot", this.#book);
        break;
      case "trades": {
        const { epoch, prev, seq, trades } = body;
        if (prev !== null && (this.#at?.epoch !== epoch || this.#at.seq !== prev)) {
          throw new OutOfStep(`trades from ${epoch}-${prev} cannot continue ${this.#at?.epoch ?? "nothing"}-${this.#at?.seq ?? ""}`);
        }
        this.#at = { epoch, seq };
        if (prev !== null) this.resyncsInARow = 0;
        this.handlers.onUpdate({ kind: "trades", isSnapshot: prev === null, epoch, trades });
        break;
      }
      case "moment":
        if (this.#book?.standAt(body) === true) this.handlers.onUpdate({ kind: "book", isSnapshot: false, book: this.#book });
        break;
      case "gap":
        this.handlers.onUpdate({ kind: "gap", gap: body });
        break;
      default:
        break;
    }
  }

  takeRecords(bytes: Uint8Array): void {
    this.handlers.onUpdate({ kind: "records", isSnapshot: beginsAnew(bytes), bytes });
  }

  #tell(isSnapshot: boolean, book: Mirror | OrderBook): void {
    if (!isSnapshot) this.resyncsInARow = 0;
    this.handlers.onUpdate({ kind: "book", isSnapshot, book });
  }
}
