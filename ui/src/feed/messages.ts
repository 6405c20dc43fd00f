/** What the server says on the WebSocket, as far as the page listens; docs/websocket.md is the whole of it. */

import { BOOK_STATES, type BookState, type Level } from "./wire";
import { fields, flag, list, nullable, number, oneOf, parseLevel, text, type Fields, WireError } from "./fields";

/** Facts that snapshots and deltas of every channel share. */
export interface Heading {
  readonly instrument: string;
  readonly epoch: string;
  readonly seq: number;
  readonly sequence: number;
  readonly tsEvent: string;
  readonly tsRecv: string;
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

export interface SnapshotMessage extends BookFacts {
  readonly type: "snapshot";
  readonly publisherId: number;
  readonly instrumentId: number;
}

export interface DeltaMessage extends BookFacts {
  readonly type: "delta";
  readonly prev: number;
}

export type StreamMessage =
  | SnapshotMessage
  | DeltaMessage
  /** Without an id: of something that was not asked for here. `replay`: the replay the socket is in. */
  | { readonly type: "ack"; readonly id: number | null; readonly replay: string | null }
  | { readonly type: "error"; readonly id: number | null; readonly code: string; readonly detail: string }
  /** `seq` counts the complete events of all books subscribed to. */
  | { readonly type: "heartbeat"; readonly seq: number }
  | { readonly type: "gap"; readonly instrument: string }
  | { readonly type: "pong" };

/** Throws a WireError that names the field where a message is none of these. */
export function parseMessage(data: unknown): StreamMessage {
  const message = fields(parseJson(data), "message");
  const type = text(message["type"], "message.type");
  switch (type) {
    case "snapshot":
      return {
        type,
        ...facts(message),
        publisherId: number(message["publisher_id"], "snapshot.publisher_id"),
        instrumentId: number(message["instrument_id"], "snapshot.instrument_id"),
      };
    case "delta":
      return { type, ...facts(message), prev: number(message["prev"], "delta.prev") };
    case "ack":
      return {
        type,
        id: nullable(message["id"], "ack.id", number),
        replay: nullable(message["replay"], "ack.replay", text),
      };
    case "error":
      return {
        type,
        id: nullable(message["id"], "error.id", number),
        code: text(message["code"], "error.code"),
        detail: text(message["detail"], "error.detail"),
      };
    case "heartbeat":
      return { type, seq: number(message["seq"], "heartbeat.seq") };
    case "gap":
      return { type, instrument: text(message["instrument"], "gap.instrument") };
    case "pong":
      return { type };
    default:
      throw new WireError(`message.type: "${type}" is not known`);
  }
}

export function parseJson(data: unknown): unknown {
  try {
    return JSON.parse(text(data, "message")) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw new WireError(`message: expected JSON: ${error.message}`);
    throw error;
  }
}

export function levels(message: Fields, side: "bids" | "asks"): Level[] {
  return list(message[side], side).map((level, index) => parseLevel(level, `${side}[${index}]`));
}

function facts(message: Fields): BookFacts {
  const [bids, asks] = [levels(message, "bids"), levels(message, "asks")];
  return { ...heading(message), bids, asks, crc: number(message["crc"], "crc") };
}

export function heading(message: Fields): Heading {
  return {
    instrument: text(message["instrument"], "instrument"),
    epoch: text(message["epoch"], "epoch"),
    seq: number(message["seq"], "seq"),
    sequence: number(message["sequence"], "sequence"),
    tsEvent: text(message["ts_event"], "ts_event"),
    tsRecv: text(message["ts_recv"], "ts_recv"),
    state: oneOf(message["state"], "state", BOOK_STATES),
    crossed: flag(message["crossed"], "crossed"),
    locked: flag(message["locked"], "locked"),
  };
}
