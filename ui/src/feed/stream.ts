/**
 * One WebSocket of the server, for one book at a time: opens, subscribes, keeps the mirror, asks for a snapshot anew
 * when something does not fit, and closes when the server has gone silent. Whether to open again is its owner's matter.
 */

import { WireError } from "./fields";
import { parseMessage, type StreamMessage } from "./messages";
import { Mirror, OutOfStep } from "./mirror";

export const PROTOCOL = "l3book.v1.json";
const TICKET_PREFIX = "l3book.ticket.";
/** A server says something every second; one that is silent for so long is taken for lost. */
export const SILENCE_MAX_MS = 5_000;
export const OPEN_TIMEOUT_MS = 5_000;
/** The first resync comes at once; while no delta fits, each next one after twice the time of the one before. */
const RESYNC_DELAY_MIN_MS = 500;
const RESYNC_DELAY_MAX_MS = 30_000;

export interface StreamSettings {
  readonly url: string;
  readonly depth: number;
  readonly intervalMs: number;
  readonly silenceMaxMs: number;
  readonly openTimeoutMs: number;
}

export interface StreamHandlers {
  onOpen(): void;
  /** The mirror has moved. */
  onMirror(mirror: Mirror): void;
  /** The book has moved, though perhaps not within the levels subscribed to. */
  onNews(): void;
  /** The server has no such book, or will not show it. */
  onRefused(code: string, detail: string): void;
  /** Once; it was never open if `onOpen` was not called. */
  onClosed(reason: string): void;
}

export class Stream {
  readonly #settings: StreamSettings;
  readonly #handlers: StreamHandlers;
  readonly #socket: WebSocket;
  #watch: ReturnType<typeof setTimeout>;
  #resyncTimer: ReturnType<typeof setTimeout> | null = null;
  #isOpen = false;
  #isClosed = false;
  #wanted: string | null = null;
  /** What the server has been asked for last, and under which id; an ack turns it into the mirror's. */
  #asked: { readonly instrument: string; readonly id: number } | null = null;
  #mirror: Mirror | null = null;
  #nextId = 1;
  #eventsSeen = -1;
  #resyncsInARow = 0;
  /** How often a snapshot was asked for because something did not fit. */
  resyncs = 0;

  constructor(ticket: string | null, handlers: StreamHandlers, settings: StreamSettings) {
    this.#handlers = handlers;
    this.#settings = settings;
    this.#socket = new WebSocket(settings.url, [PROTOCOL, ...(ticket === null ? [] : [TICKET_PREFIX + ticket])]);
    this.#watch = setTimeout(() => {
      this.#end(`no connection within ${settings.openTimeoutMs / 1000} s`);
    }, settings.openTimeoutMs);
    this.#socket.addEventListener("open", () => {
      if (this.#isClosed) return;
      this.#isOpen = true;
      this.#heard();
      this.#handlers.onOpen();
      this.#subscribe();
    });
    this.#socket.addEventListener("message", (event) => {
      this.#take(event.data);
    });
    this.#socket.addEventListener("error", () => {
      // Of an open socket the close event comes too, and says more.
      if (!this.#isOpen) this.#end("the socket could not be opened");
    });
    this.#socket.addEventListener("close", (event) => {
      const why = event.reason === "" ? "" : `: ${event.reason}`;
      this.#end(`the socket was closed (${event.code}${why})`);
    });
  }

  /** Which book, as a symbol, an instrument_id or publisher_id:instrument_id; null for none. */
  select(instrument: string | null): void {
    this.#unsubscribe();
    this.#wanted = instrument;
    this.#resyncsInARow = 0;
    this.#subscribe();
  }

  /** Asks for a refused book once more. */
  retry(): void {
    if (this.#asked === null && this.#resyncTimer === null) this.#subscribe();
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#watch);
    this.#cancelResync();
    this.#socket.close();
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stop();
    this.#handlers.onClosed(reason);
  }

  #heard(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#end(`no heartbeat for ${this.#settings.silenceMaxMs / 1000} s`);
    }, this.#settings.silenceMaxMs);
  }

  #subscribe(): void {
    this.#cancelResync();
    if (!this.#isOpen || this.#isClosed || this.#wanted === null) return;
    const { depth, intervalMs } = this.#settings;
    this.#asked = { instrument: this.#wanted, id: this.#nextId };
    this.#send("subscribe", this.#wanted, { depth, level: 3, interval_ms: intervalMs });
  }

  #unsubscribe(): void {
    this.#cancelResync();
    this.#mirror = null;
    if (this.#asked !== null) this.#send("unsubscribe", this.#asked.instrument, {});
    this.#asked = null;
  }

  #send(op: "subscribe" | "unsubscribe", instrument: string, options: object): void {
    const request = { op, id: this.#nextId, channel: "depth", instrument, ...options };
    this.#nextId += 1;
    this.#socket.send(JSON.stringify(request));
  }

  #take(data: unknown): void {
    if (this.#isClosed) return;
    this.#heard();
    try {
      this.#apply(parseMessage(data));
    } catch (error) {
      if (error instanceof OutOfStep) this.#resync(error);
      else if (error instanceof WireError) this.#end(`the server's message is not as agreed: ${error.message}`);
      else throw error;
    }
  }

  #apply(message: StreamMessage): void {
    switch (message.type) {
      case "ack":
        // Whatever comes before this is of an earlier subscription.
        if (message.id === this.#asked?.id) this.#mirror = new Mirror(this.#settings.depth);
        break;
      case "error":
        if (message.id !== this.#asked?.id) break;
        this.#asked = null;
        this.#handlers.onRefused(message.code, message.detail);
        break;
      case "snapshot":
      case "delta":
        if (this.#mirror === null) break;
        this.#mirror.apply(message);
        if (message.type === "delta") this.#resyncsInARow = 0;
        this.#handlers.onMirror(this.#mirror);
        break;
      case "heartbeat":
        if (message.seq > this.#eventsSeen && this.#mirror !== null) this.#handlers.onNews();
        this.#eventsSeen = message.seq;
        break;
      case "gap":
      case "pong":
        break;
    }
  }

  #resync(fault: OutOfStep): void {
    console.warn(`asking for a snapshot anew: ${fault.message}`);
    this.resyncs += 1;
    this.#unsubscribe();
    const delayMs = this.#resyncsInARow === 0 ? 0 : RESYNC_DELAY_MIN_MS * 2 ** (this.#resyncsInARow - 1);
    this.#resyncsInARow += 1;
    this.#resyncTimer = setTimeout(() => {
      this.#subscribe();
    }, Math.min(delayMs, RESYNC_DELAY_MAX_MS));
  }

  #cancelResync(): void {
    if (this.#resyncTimer !== null) clearTimeout(this.#resyncTimer);
    this.#resyncTimer = null;
  }
}
