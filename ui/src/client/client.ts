/**
 * A client of `/v1/ws` for any number of subscriptions of every channel, now or in the past: books are checked at each
 * message and asked for anew where they do not fit, and a server that is lost is come back to, with everything followed
 * and the replay that the socket was in.
 */

import { WireError } from "../feed/fields";
import { parseMessage, type Ack, type Channel, type ClientMessage, type Heartbeat, type Place, type Stepped, type Travelled } from "./messages";
import { OutOfStep } from "./mirror";
import { originOf } from "./records";
import { Following, type SubscribeOptions, type SubscriptionHandlers } from "./subscription";
import { Refusal, Travel, type TravelOp } from "./travel";

export const PROTOCOL = "l3book.v1.json";
const TICKET_PREFIX = "l3book.ticket.";
/** The server tells on a close whether coming back is of use; see docs/websocket.md. */
const FINAL_CODES = new Set([1002, 1007, 1009, 4401]);
const RETRY_DELAY_MIN_MS = 500;
const RETRY_DELAY_MAX_MS = 30_000;
/** A way back into the past that is refused so often is given up. */
const RETURNS_MAX = 4;
const WORTH_ANOTHER_TRY = new Set(["too_many_requests", "history_busy", "too_many_replays"]);

export interface ClientSettings {
  /** ws://… or wss://…, with the path. */
  readonly url: string;
  /** Asked before each connection: a ticket of POST /v1/tickets, or null where no key is needed. */
  readonly ticket: () => Promise<string | null>;
  /** A server says something every second. */
  readonly silenceMaxMs: number;
  /** So often a ping is sent, where the last one was answered. */
  readonly pingIntervalMs: number;
  readonly reconnectDelayMinMs: number;
  readonly reconnectDelayMaxMs: number;
  /** A subscription that was live, and is refused so often after a reconnection, is refused for good. */
  readonly refusalsMax: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface ClientHandlers {
  onOpen?(): void;
  /** It is tried again unless `isFinal`. */
  onLost?(reason: string, isFinal: boolean): void;
  onHeartbeat?(heartbeat: Heartbeat): void;
  /** How old what comes now is, at most: how long a ping took through the same line, or has taken so far. 0 where that is not known. */
  onDelay?(delayMs: number): void;
  /** Null: the books are those of now. `isJump`: no update that follows continues one of before. */
  onTravel?(place: Place | null, isJump: boolean): void;
  /** After a reconnection the server led to another event of a book than the one that had stood still, at `tsEvent`. */
  onAstray?(tsEvent: string): void;
  /** After a reconnection the server would not go back to where the replay was: the books are those of now. */
  onStranded?(refusal: Refusal): void;
}

const DEFAULTS: Omit<ClientSettings, "url"> = {
  ticket: () => Promise.resolve(null),
  silenceMaxMs: 5_000,
  pingIntervalMs: 2_000,
  reconnectDelayMinMs: 250,
  reconnectDelayMaxMs: 30_000,
  refusalsMax: 10,
  random: Math.random,
};

type Timer = ReturnType<typeof setTimeout>;

export class Client {
  readonly #settings: ClientSettings;
  readonly #handlers: ClientHandlers;
  readonly #followings = new Set<Following>();
  readonly #travel = new Travel();
  #socket: WebSocket | null = null;
  #isOpen = false;
  /** On the way back into the past; what is followed waits for it. */
  #isReturning = false;
  /** Counts what connects and disconnects: a ticket that comes later is of no use. */
  #turn = 0;
  #attempts = 0;
  #nextId = 1;
  #watch: Timer | undefined;
  #pinging: Timer | undefined;
  /** The ping that is under way. */
  #ping: { readonly id: number; readonly sentAtMs: number } | null = null;
  #reconnectTimer: Timer | undefined;
  #returnTimer: Timer | undefined;
  /** How often a snapshot was asked for because something did not fit. */
  resyncs = 0;
  reconnects = 0;

  constructor(settings: Partial<ClientSettings> & Pick<ClientSettings, "url">, handlers: ClientHandlers = {}) {
    this.#settings = { ...DEFAULTS, ...settings };
    this.#handlers = handlers;
  }

  /** Where the socket stands in the past, or will again; null: the books are those of now. */
  get place(): Place | null {
    return this.#travel.place;
  }

  /** Opens a socket now, and another whenever it is lost. */
  connect(): void {
    if (this.#socket !== null) return;
    this.#drop();
    void this.#connect(this.#turn);
  }

  /** Until `connect`; what is followed, and where in time, is kept. */
  disconnect(): void {
    this.#drop();
    this.#idle();
  }

  close(): void {
    for (const following of [...this.#followings]) this.#forget(following);
    this.disconnect();
  }

  /** Follows a channel of a book from now on, over reconnections; -> what ends that. */
  subscribe(channel: Channel, instrument: string, handlers: SubscriptionHandlers, options: SubscribeOptions = {}): () => void {
    const following = new Following(channel, instrument, options, handlers);
    this.#followings.add(following);
    this.#ask(following);
    return () => {
      if (following.phase === "ended") return;
      this.#askEnd(following);
      this.#forget(following);
    };
  }

  /** Resolves when the server has done it, and rejects with a Refusal. `onTravel` is told between the updates of before and after. */
  travel(request: TravelOp): Promise<Stepped | null> {
    if (request.op === "live" && this.#isAway) {
      this.#stay();
      return Promise.resolve(null);
    }
    // Who wants to leave while the way back is being asked for leaves when it is answered.
    const isReady = this.#isOpen && (!this.#isReturning || request.op === "live");
    if (!isReady) return Promise.reject(new Refusal("no_stream", "there is no connection to the server"));
    return this.#travel.ask(this.#send(request), request);
  }

  /** In the past by intention only: no socket is there. */
  get #isAway(): boolean {
    return this.place !== null && (!this.#isOpen || (this.#isReturning && !this.#travel.isAsking));
  }

  async #connect(turn: number): Promise<void> {
    let ticket: string | null;
    try {
      ticket = await this.#settings.ticket();
    } catch (error) {
      if (turn === this.#turn) this.#lost(`no ticket: ${String(error)}`, false);
      return;
    }
    if (turn !== this.#turn) return;
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
    this.#isReturning = this.place !== null;
    this.#pinging = setInterval(() => { this.#askDelay(); }, this.#settings.pingIntervalMs);
    this.#handlers.onOpen?.();
    if (this.#isReturning) this.#return(0);
    else this.#askAll();
  }

  /** A new socket shows the present: first back to where it was, then everything that is followed. */
  #return(attempt: number): void {
    const { place } = this;
    if (place === null) return;
    const request = { op: "replay", from: this.#travel.wayBack, speed: place.speed, paused: place.state === "paused" } as const;
    this.#travel.ask(this.#send(request), request, true).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
      // Lost once more: the next socket tries.
      if (error.code === "connection_lost") return;
      if (WORTH_ANOTHER_TRY.has(error.code) && attempt < RETURNS_MAX) {
        this.#returnTimer = setTimeout(() => { this.#return(attempt + 1); }, RETRY_DELAY_MIN_MS * 2 ** attempt);
        return;
      }
      this.#stay();
      this.#handlers.onStranded?.(error);
    });
  }

  /** Gives up the past without a word to the server, which knows of none. */
  #stay(): void {
    clearTimeout(this.#returnTimer);
    this.#travel.leave();
    this.#isReturning = false;
    this.#handlers.onTravel?.(null, true);
    this.#askAll();
  }

  #lost(reason: string, isFinal: boolean): void {
    this.#drop();
    this.#idle();
    if (!isFinal) {
      // Everybody loses a server at the same moment: nobody comes back at the same one.
      const longest = this.#settings.reconnectDelayMinMs * 2 ** this.#attempts;
      this.#attempts = Math.min(this.#attempts + 1, 30);
      const delayMs = this.#settings.random() * Math.min(longest, this.#settings.reconnectDelayMaxMs);
      this.#reconnectTimer = setTimeout(() => {
        this.reconnects += 1;
        this.connect();
      }, delayMs);
    }
    this.#handlers.onLost?.(reason, isFinal);
  }

  #drop(): void {
    this.#turn += 1;
    for (const timer of [this.#watch, this.#reconnectTimer, this.#returnTimer]) clearTimeout(timer);
    clearInterval(this.#pinging);
    if (this.#ping !== null) this.#handlers.onDelay?.(0);
    this.#ping = null;
    this.#isOpen = this.#isReturning = false;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #idle(): void {
    for (const following of this.#followings) {
      cancel(following);
      following.phase = "idle";
    }
    if (this.#travel.lose()) this.#handlers.onTravel?.(null, true);
  }

  /** Behind megabytes that a slow line still holds a ping is answered late: so late is everything else. */
  #askDelay(): void {
    const nowMs = performance.now();
    if (this.#ping !== null) this.#handlers.onDelay?.(nowMs - this.#ping.sentAtMs);
    else this.#ping = { id: this.#send({ op: "ping" }), sentAtMs: nowMs };
  }

  #answered(id: number | null): void {
    if (this.#ping === null || this.#ping.id !== id) return;
    this.#handlers.onDelay?.(performance.now() - this.#ping.sentAtMs);
    this.#ping = null;
  }

  #heard(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#lost(`nothing was heard for ${this.#settings.silenceMaxMs / 1000} s`, false);
    }, this.#settings.silenceMaxMs);
  }

  #askAll(): void {
    for (const following of this.#followings) this.#ask(following);
  }

  #ask(following: Following): void {
    if (!this.#isOpen || this.#isReturning || following.phase !== "idle") return;
    following.phase = "asked";
    const { channel, instrument, options } = following;
    following.requestId = this.#send({ op: "subscribe", channel, instrument, ...options });
  }

  #askEnd({ phase, channel, instrument }: Following): void {
    if (phase === "live" || phase === "asked") this.#send({ op: "unsubscribe", channel, instrument });
  }

  #forget(following: Following): void {
    cancel(following);
    following.phase = "ended";
    this.#followings.delete(following);
  }

  #send(request: object): number {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#socket?.send(JSON.stringify({ id, ...request }));
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
    if (body.type === "acknowledged") this.#acknowledge(channel, body);
    else if (body.type === "travelled") this.#travelled(body);
    else if (body.type === "error") this.#refuse(body.id, body.code, body.detail);
    else if (body.type === "heartbeat") this.#beat(body);
    else if (body.type === "pong") this.#answered(body.id);
    else if (body.type !== "unknown") {
      const isPast = this.place !== null && !this.#isReturning;
      const stood = isPast && channel !== null && "tsEvent" in body ? this.#travel.saw(channel, body) : null;
      if (stood !== null) this.#handlers.onAstray?.(stood);
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

  #acknowledge(channel: Channel | null, ack: Ack): void {
    for (const following of this.#followings) {
      if (ack.id === null) {
        if (following.channel === channel) following.rename(ack);
      } else if (following.phase === "asked" && following.requestId === ack.id) {
        // Whatever of it comes before this is of an earlier subscription.
        following.acknowledge(ack);
      }
    }
  }

  #travelled(travelled: Travelled): void {
    const isJump = this.#travel.take(travelled);
    this.#handlers.onTravel?.(travelled.place, isJump);
    if (!this.#isReturning) return;
    this.#isReturning = false;
    this.#askAll();
  }

  #beat(heartbeat: Heartbeat): void {
    this.#travel.beat(heartbeat.place);
    if (heartbeat.place !== null) this.#handlers.onTravel?.(this.place, false);
    this.#handlers.onHeartbeat?.(heartbeat);
  }

  #refuse(id: number | null, code: string, detail: string): void {
    if (this.#travel.refuse(id, code, detail)) return;
    for (const following of [...this.#followings]) {
      if (following.phase !== "asked" || following.requestId !== id) continue;
      if ((following.wasLive || code === "too_many_requests") && following.resyncsInARow < this.#settings.refusalsMax) {
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
    following.handlers.onFault?.();
  }

  /** At once the first time; while no delta fits, each next time after twice the time of the one before. */
  #askLater(following: Following): void {
    following.phase = "idle";
    const delayMs = following.resyncsInARow === 0 ? 0 : RETRY_DELAY_MIN_MS * 2 ** (following.resyncsInARow - 1);
    following.resyncsInARow += 1;
    cancel(following);
    following.timer = setTimeout(() => {
      this.#ask(following);
    }, Math.min(delayMs, RETRY_DELAY_MAX_MS));
  }
}

function cancel(following: Following): void {
  if (following.timer !== null) clearTimeout(following.timer);
  following.timer = null;
}
