/**
 * A client of `/v1/ws` for any number of subscriptions of every channel: books are checked at each message and asked
 * for anew where they do not fit, and a server that is lost is come back to. The page does not use it: its own needs
 * are one book (src/feed).
 */

import { WireError } from "../feed/fields";
import { OutOfStep } from "../feed/mirror";
import { parseMessage, type Ack, type Channel, type ClientMessage } from "./messages";
import { originOf } from "./records";
import { Following, type SubscribeOptions, type SubscriptionHandlers } from "./subscription";

export const PROTOCOL = "l3book.v1.json";
const TICKET_PREFIX = "l3book.ticket.";
/** The server tells on a close whether coming back is of use; see docs/websocket.md. */
const FINAL_CODES = new Set([1002, 1007, 1009, 4401]);
/** A subscription that was live, and is refused so often after a reconnection, is refused for good. */
const REFUSALS_MAX = 10;
const RESYNC_DELAY_MIN_MS = 500;
const RESYNC_DELAY_MAX_MS = 30_000;

export interface ClientSettings {
  /** ws://… or wss://…, with the path. */
  readonly url: string;
  /** Asked before each connection: a ticket of POST /v1/tickets, or null where no key is needed. */
  readonly ticket: () => Promise<string | null>;
  /** A server says something every second. */
  readonly silenceMaxMs: number;
  readonly reconnectDelayMinMs: number;
  readonly reconnectDelayMaxMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface ClientHandlers {
  onOpen?(): void;
  /** It is tried again unless `isFinal`. */
  onLost?(reason: string, isFinal: boolean): void;
}

const DEFAULTS: Omit<ClientSettings, "url"> = {
  ticket: () => Promise.resolve(null),
  silenceMaxMs: 5_000,
  reconnectDelayMinMs: 250,
  reconnectDelayMaxMs: 30_000,
  random: Math.random,
};

export class Client {
  readonly #settings: ClientSettings;
  readonly #handlers: ClientHandlers;
  readonly #followings = new Set<Following>();
  #socket: WebSocket | null = null;
  #isOpen = false;
  #isClosed = false;
  #attempts = 0;
  #nextId = 1;
  #watch: ReturnType<typeof setTimeout> | null = null;
  #reconnectTimer: ReturnType<typeof setTimeout> | null = null;
  /** How often a snapshot was asked for because something did not fit. */
  resyncs = 0;
  reconnects = 0;

  constructor(settings: Partial<ClientSettings> & Pick<ClientSettings, "url">, handlers: ClientHandlers = {}) {
    this.#settings = { ...DEFAULTS, ...settings };
    this.#handlers = handlers;
    void this.#connect();
  }

  /** Follows a channel of a book from now on, over reconnections; -> what ends that. */
  subscribe(channel: Channel, instrument: string, handlers: SubscriptionHandlers, options: SubscribeOptions = {}): () => void {
    const following = new Following(channel, instrument, options, handlers);
    this.#followings.add(following);
    this.#ask(following);
    return () => {
      this.#askEnd(following);
      this.#forget(following);
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const following of [...this.#followings]) this.#forget(following);
    this.#drop();
  }

  async #connect(): Promise<void> {
    let ticket: string | null;
    try {
      ticket = await this.#settings.ticket();
    } catch (error) {
      this.#lost(`no ticket: ${String(error)}`, false);
      return;
    }
    if (this.#isClosed) return;
    const socket = new WebSocket(this.#settings.url, [PROTOCOL, ...(ticket === null ? [] : [TICKET_PREFIX + ticket])]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#heard();
    // What comes of a socket that was given up is of no interest.
    const whileCurrent = (act: () => void) => () => {
      if (this.#socket === socket) act();
    };
    socket.addEventListener("open", whileCurrent(() => { this.#opened(); }));
    socket.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (this.#socket === socket) this.#take(event.data);
    });
    socket.addEventListener("error", whileCurrent(() => {
      // Of an open socket the close event comes too, and says more.
      if (!this.#isOpen) this.#lost("the socket could not be opened", false);
    }));
    socket.addEventListener("close", (event) => {
      const why = event.reason === "" ? "" : `: ${event.reason}`;
      if (this.#socket === socket) this.#lost(`the socket was closed (${event.code}${why})`, FINAL_CODES.has(event.code));
    });
  }

  #opened(): void {
    this.#isOpen = true;
    this.#heard();
    this.#handlers.onOpen?.();
    for (const following of this.#followings) this.#ask(following);
  }

  #lost(reason: string, isFinal: boolean): void {
    if (this.#isClosed) return;
    this.#drop();
    for (const following of this.#followings) {
      cancel(following);
      following.phase = "idle";
    }
    if (!isFinal) {
      // Everybody loses a server at the same moment: nobody comes back at the same one.
      const longest = this.#settings.reconnectDelayMinMs * 2 ** this.#attempts;
      this.#attempts = Math.min(this.#attempts + 1, 30);
      const delayMs = this.#settings.random() * Math.min(longest, this.#settings.reconnectDelayMaxMs);
      this.#reconnectTimer = setTimeout(() => {
        this.reconnects += 1;
        void this.#connect();
      }, delayMs);
    }
    this.#handlers.onLost?.(reason, isFinal);
  }

  #drop(): void {
    for (const timer of [this.#watch, this.#reconnectTimer]) if (timer !== null) clearTimeout(timer);
    this.#isOpen = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #heard(): void {
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#lost(`nothing was heard for ${this.#settings.silenceMaxMs / 1000} s`, false);
    }, this.#settings.silenceMaxMs);
  }

  #ask(following: Following): void {
    if (!this.#isOpen || following.phase !== "idle") return;
    following.phase = "asked";
    following.requestId = this.#send("subscribe", following, following.options);
  }

  #askEnd(following: Following): void {
    if (following.phase === "live" || following.phase === "asked") this.#send("unsubscribe", following, {});
  }

  #forget(following: Following): void {
    cancel(following);
    following.phase = "ended";
    this.#followings.delete(following);
  }

  #send(op: "subscribe" | "unsubscribe", { channel, instrument }: Following, options: SubscribeOptions): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#socket?.send(JSON.stringify({ op, id, channel, instrument, ...options }));
    return id;
  }

  #take(data: unknown): void {
    this.#heard();
    // A server that accepts and closes at once has not come back.
    this.#attempts = 0;
    if (data instanceof ArrayBuffer) {
      this.#takeRecords(new Uint8Array(data));
      return;
    }
    let message: ClientMessage;
    try {
      message = parseMessage(String(data));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#lost(`the server's message is not as agreed: ${error.message}`, true);
      return;
    }
    this.#route(message);
  }

  #route({ channel, body }: ClientMessage): void {
    if (body.type === "acknowledged") this.#acknowledge(body);
    else if (body.type === "error") this.#refuse(body.id, body.code, body.detail);
    else if ("instrument" in body) {
      for (const following of [...this.#followings]) {
        if (following.channel !== channel || following.ack?.instrument !== body.instrument) continue;
        try {
          following.take(body);
        } catch (error) {
          if (!(error instanceof OutOfStep)) throw error;
          this.#resync(following, error);
        }
      }
    }
  }

  #acknowledge(ack: Ack): void {
    for (const following of this.#followings) {
      // Whatever of it comes before this is of an earlier subscription.
      if (following.phase === "asked" && following.requestId === ack.id) following.acknowledge(ack);
    }
  }

  #refuse(id: number | null, code: string, detail: string): void {
    for (const following of [...this.#followings]) {
      if (following.phase !== "asked" || following.requestId !== id) continue;
      if ((following.wasLive || code === "too_many_requests") && following.resyncsInARow < REFUSALS_MAX) {
        this.#askLater(following);
      } else {
        this.#forget(following);
        following.handlers.onRefused(code, detail);
      }
    }
  }

  #takeRecords(bytes: Uint8Array): void {
    const readers = [...this.#followings].filter(({ channel, ack }) => channel === "dbn" && ack !== null);
    const origin = readers.length > 1 ? originOf(bytes) : null;
    for (const reader of readers) {
      const { ack } = reader;
      const isIts = ack?.publisherId === origin?.publisherId && ack?.instrumentId === origin?.instrumentId;
      if (origin === null || isIts) reader.takeRecords(bytes);
    }
  }

  #resync(following: Following, fault: OutOfStep): void {
    console.warn(`asking for a snapshot of ${following.channel} ${following.instrument} anew: ${fault.message}`);
    this.resyncs += 1;
    this.#askEnd(following);
    this.#askLater(following);
  }

  /** At once the first time; while no delta fits, each next time after twice the time of the one before. */
  #askLater(following: Following): void {
    following.phase = "idle";
    const delayMs = following.resyncsInARow === 0 ? 0 : RESYNC_DELAY_MIN_MS * 2 ** (following.resyncsInARow - 1);
    following.resyncsInARow += 1;
    cancel(following);
    following.timer = setTimeout(() => {
      this.#ask(following);
    }, Math.min(delayMs, RESYNC_DELAY_MAX_MS));
  }
}

function cancel(following: Following): void {
  if (following.timer !== null) clearTimeout(following.timer);
  following.timer = null;
}
