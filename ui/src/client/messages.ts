/** Everything that the server says on the WebSocket in JSON; docs/websocket.md is the whole of it. */

import { fields, list, nullable, number, oneOf, price, text, WireError, type Fields } from "../feed/fields";
import {
  heading,
  levels,
  parseJson,
  parseMessage as parseBookMessage,
  type Heading,
  type StreamMessage,
} from "../feed/messages";
import type { Level } from "../feed/wire";

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
  readonly id: number | null;
  /** What all messages of the subscription carry. */
  readonly instrument: string;
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
    | Exclude<StreamMessage, { readonly type: "ack" | "gap" }>
    | Ack
    | Gap
    | OrdersSnapshot
    | OrdersDelta
    | TradesMessage;
}

/** Throws a WireError that names the field where a message is none of these. */
export function parseMessage(data: string): ClientMessage {
  const message = fields(parseJson(data), "message");
  const channel = nullable(message["channel"], "channel", (value, where) => oneOf(value, where, CHANNELS));
  const type = text(message["type"], "message.type");
  if (type === "ack") return { channel, body: ack(message) };
  if (type === "gap") return { channel, body: gap(message) };
  if (type === "snapshot" || type === "delta") {
    if (channel === "orders") return { channel, body: orders(message, type) };
    if (channel === "trades") return { channel, body: trades(message) };
  }
  const body = parseBookMessage(data);
  // Both are told apart above.
  if (body.type === "ack" || body.type === "gap") throw new WireError(`message.type: ${body.type}`);
  return { channel, body };
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
  const told = list(message["trades"], "trades").map((entry, index) => trade(entry, `trades[${index}]`));
  return { type: "trades", ...heading(message), prev, trades: told };
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
