/** Everything that the server says on the WebSocket in JSON; docs/websocket.md is the whole of it. */

import { fields, flag, list, nullable, number, oneOf, parseLevel, price, text, WireError, type Fields } from "../feed/fields";
import { BOOK_STATES, type BookState, type Level } from "../feed/wire";

export const CHANNELS = ["bbo", "depth", "orders", "trades", "dbn"] as const;
export type Channel = (typeof CHANNELS)[number];
export type Side = "B" | "A";

export type Operation =
  | { readonly op: "A"; readonly orderId: string; readonly side: Side; readonly price: string; readonly size: number }
  | { readonly op: "M"; readonly orderId: string; readonly price: string; readonly size: number; readonly place: "keep" | "back" }
  | { readonly op: "C"; readonly orderId: string; readonly size: number }
  /** The side becomes one level without orders; price null: it becomes empty. */
  | { readonly op: "Q"; readonly side: Side; readonly price: string | null; readonly size: number };

export interface Trade {
  readonly tsEvent: string;
  readonly tsRecv: string;
  /** Null where the venue gives none. */
  readonly price: string | null;
  readonly size: number;
  /** The aggressor's; N where it is unknown. */
  readonly side: Side | "N";
  readonly orderId: string;
  readonly sequence: number;
}

export interface Origin {
  readonly publisherId: number;
  readonly instrumentId: number;
}

/** Which event of which book. */
export interface Point {
  readonly instrument: string;
  readonly epoch: string;
  readonly seq: number;
  readonly sequence: number;
  readonly tsEvent: string;
  readonly tsRecv: string;
}

/** Facts that snapshots and deltas of every channel share. */
export interface Heading extends Point {
  readonly state: BookState;
  readonly crossed: boolean;
  readonly locked: boolean;
}

/** And those of a channel of levels. */
export interface BookFacts extends Heading {
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly crc: number;
}

export interface SnapshotMessage extends BookFacts, Origin {
  readonly type: "snapshot";
}

export interface DeltaMessage extends BookFacts {
  readonly type: "delta";
  readonly prev: number;
}

export interface OrdersSnapshot extends Heading, Origin {
  readonly type: "orders snapshot";
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly crc: number;
}

export interface OrdersDelta extends Heading {
  readonly type: "orders delta";
  readonly prev: number;
  readonly ops: readonly Operation[];
  readonly crc: number;
}

export interface TradesMessage extends Heading {
  readonly type: "trades";
  /** Null of a snapshot. */
  readonly prev: number | null;
  readonly trades: readonly Trade[];
}

export interface Ack extends Origin {
  readonly type: "acknowledged";
  /** Null: the messages of this book carry another name from now on. */
  readonly id: number | null;
  /** What all messages of the subscription carry. */
  readonly instrument: string;
}

export const REPLAY_STATES = ["playing", "paused", "ended", "failed"] as const;

/** Where a socket stands in the past. */
export interface Place {
  readonly id: string;
  readonly state: (typeof REPLAY_STATES)[number];
  /** The recorded time shown, in ns, by ts_recv. */
  readonly ts: string;
  /** How many times as fast as it was recorded. */
  readonly speed: number;
}

/** The answer to what was asked of the past; without an id, of something that nobody asked for here. */
export interface Travelled {
  readonly type: "travelled";
  readonly id: number | null;
  /** Null: the books are those of now. */
  readonly place: Place | null;
  /** Of a step only. */
  readonly stepped: Stepped | null;
}

export const STOPS = ["end", "beginning"] as const;

/** How far a step has led. */
export interface Stepped {
  /** Of the book; negative: back. */
  readonly events: number;
  /** Where they are fewer than asked for: at the end of what is recorded, or the beginning. */
  readonly stoppedAt: (typeof STOPS)[number] | null;
}

export interface Heartbeat {
  readonly type: "heartbeat";
  /** Complete events of all books subscribed to. */
  readonly seq: number;
  readonly place: Place | null;
}

/** A replay stands still, and this is where its book does: later than its last message where events since changed nothing shown. */
export interface Moment extends Point {
  readonly type: "moment";
  /** Resting in the whole book. */
  readonly orders: number;
}

export interface Gap {
  readonly type: "gap";
  readonly channel: Channel;
  readonly instrument: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** `channel` is that of the subscription it belongs to; null where it belongs to none. */
export interface ClientMessage {
  readonly channel: Channel | null;
  readonly body:
    | SnapshotMessage
    | DeltaMessage
    | OrdersSnapshot
    | OrdersDelta
    | TradesMessage
    | Ack
    | Travelled
    | Heartbeat
    | Moment
    | Gap
    | { readonly type: "error"; readonly id: number | null; readonly code: string; readonly detail: string }
    | { readonly type: "pong"; readonly id: number | null }
    /** Of a newer server: not for this client. */
    | { readonly type: "unknown" };
}

/** Throws a WireError that names the field where a message of these is not as agreed. */
export function parseMessage(data: string): ClientMessage {
  const message = fields(parseJson(data), "message");
  const named = nullable(message["channel"], "channel", text);
  const channel = CHANNELS.find((known) => known === named) ?? null;
  // The protocol may grow: what is of a channel that nobody here knows was not asked for.
  const body = channel === named ? parseBody(message, channel) : ({ type: "unknown" } as const);
  return { channel, body };
}

function parseBody(message: Fields, channel: Channel | null): ClientMessage["body"] {
  const type = text(message["type"], "message.type");
  switch (type) {
    case "snapshot":
    case "delta":
      if (channel === "orders") return orders(message, type);
      return channel === "trades" ? trades(message) : book(message, type);
    case "ack":
      return message["replay"] === undefined ? ack(message) : travelled(message);
    case "error":
      return { type, id: id(message), code: text(message["code"], "error.code"), detail: text(message["detail"], "error.detail") };
    case "heartbeat":
      return { type, seq: number(message["seq"], "heartbeat.seq"), place: place(message) };
    case "moment":
      return moment(message);
    case "gap":
      return gap(message);
    case "pong":
      return { type, id: id(message) };
    default:
      return { type: "unknown" };
  }
}

function parseJson(data: string): unknown {
  try {
    return JSON.parse(data) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw new WireError(`message: expected JSON: ${error.message}`);
    throw error;
  }
}

function id(message: Fields): number | null {
  return nullable(message["id"], "id", number);
}

function place(message: Fields): Place | null {
  const replay = nullable(message["replay"], "replay", text);
  if (replay === null) return null;
  return {
    id: replay,
    state: oneOf(message["state"], "state", REPLAY_STATES),
    ts: text(message["ts"], "ts"),
    speed: number(message["speed"], "speed"),
  };
}

function travelled(message: Fields): Travelled {
  const events = nullable(message["events"], "events", number);
  const stepped = events === null ? null : { events, stoppedAt: nullable(message["stopped_at"], "stopped_at", stop) };
  return { type: "travelled", id: id(message), place: place(message), stepped };
}

function stop(value: unknown, path: string): (typeof STOPS)[number] {
  return oneOf(value, path, STOPS);
}

function levels(message: Fields, side: "bids" | "asks"): Level[] {
  return list(message[side], side).map((level, index) => parseLevel(level, `${side}[${index}]`));
}

function point(message: Fields): Point {
  return {
    instrument: text(message["instrument"], "instrument"),
    epoch: text(message["epoch"], "epoch"),
    seq: number(message["seq"], "seq"),
    sequence: number(message["sequence"], "sequence"),
    tsEvent: text(message["ts_event"], "ts_event"),
    tsRecv: text(message["ts_recv"], "ts_recv"),
  };
}

function heading(message: Fields): Heading {
  return {
    ...point(message),
    state: oneOf(message["state"], "state", BOOK_STATES),
    crossed: flag(message["crossed"], "crossed"),
    locked: flag(message["locked"], "locked"),
  };
}

function book(message: Fields, type: "snapshot" | "delta"): SnapshotMessage | DeltaMessage {
  const [bids, asks] = [levels(message, "bids"), levels(message, "asks")];
  const facts = { ...heading(message), bids, asks, crc: number(message["crc"], "crc") };
  if (type === "snapshot") return { type, ...facts, ...origin(message) };
  return { type, ...facts, prev: number(message["prev"], "prev") };
}

function origin(message: Fields): Origin {
  return {
    publisherId: number(message["publisher_id"], "publisher_id"),
    instrumentId: number(message["instrument_id"], "instrument_id"),
  };
}

function ack(message: Fields): Ack {
  const [id, instrument] = [nullable(message["id"], "ack.id", number), text(message["instrument"], "ack.instrument")];
  return { type: "acknowledged", id, instrument, ...origin(message) };
}

function moment(message: Fields): Moment {
  return { type: "moment", ...point(message), orders: number(message["orders"], "orders") };
}

function gap(message: Fields): Gap {
  return {
    type: "gap",
    channel: oneOf(message["channel"], "gap.channel", CHANNELS),
    instrument: text(message["instrument"], "gap.instrument"),
    from: number(message["from"], "gap.from"),
    to: number(message["to"], "gap.to"),
    reason: text(message["reason"], "gap.reason"),
  };
}

function orders(message: Fields, type: "snapshot" | "delta"): OrdersSnapshot | OrdersDelta {
  const crc = number(message["crc"], "crc");
  if (type === "snapshot") {
    const [bids, asks] = [levels(message, "bids"), levels(message, "asks")];
    return { type: "orders snapshot", ...heading(message), ...origin(message), bids, asks, crc };
  }
  const ops = list(message["ops"], "ops").map((op, index) => operation(op, `ops[${index}]`));
  return { type: "orders delta", ...heading(message), prev: number(message["prev"], "prev"), ops, crc };
}

function operation(value: unknown, where: string): Operation {
  const [name, second, third, fourth, fifth] = list(value, where);
  const op = oneOf(name, where, ["A", "M", "C", "Q"] as const);
  switch (op) {
    case "A":
      return { op, orderId: text(second, where), side: side(third, where), price: price(fourth, where), size: number(fifth, where) };
    case "M":
      return {
        op,
        orderId: text(second, where),
        price: price(third, where),
        size: number(fourth, where),
        place: oneOf(fifth, where, ["keep", "back"] as const),
      };
    case "C":
      return { op, orderId: text(second, where), size: number(third, where) };
    case "Q":
      return { op, side: side(second, where), price: nullable(third, where, price), size: number(fourth, where) };
  }
}

function side(value: unknown, where: string): Side {
  return oneOf(value, where, ["B", "A"] as const);
}

function trades(message: Fields): TradesMessage {
  const prev = nullable(message["prev"], "prev", number);
  return { type: "trades", ...heading(message), prev, trades: parseTrades(message) };
}

/** Of an answer of the HTTP contract, too. */
export function parseTrades(message: Fields): readonly Trade[] {
  return list(message["trades"], "trades").map((entry, index) => trade(entry, `trades[${index}]`));
}

function trade(value: unknown, where: string): Trade {
  const entry = fields(value, where);
  return {
    tsEvent: text(entry["ts_event"], `${where}.ts_event`),
    tsRecv: text(entry["ts_recv"], `${where}.ts_recv`),
    price: nullable(entry["price"], `${where}.price`, price),
    size: number(entry["size"], `${where}.size`),
    side: oneOf(entry["side"], `${where}.side`, ["B", "A", "N"] as const),
    orderId: text(entry["order_id"], `${where}.order_id`),
    sequence: number(entry["sequence"], `${where}.sequence`),
  };
}
