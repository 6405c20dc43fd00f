import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, type ClientSettings } from "../src/client/client";
import { parseMessage, type Channel } from "../src/client/messages";
import { OrderBook } from "../src/client/order-book";
import { originOf } from "../src/client/records";
import type { SubscribeOptions, Update } from "../src/client/subscription";
import { WireError } from "../src/feed/fields";
import { OutOfStep } from "../src/client/mirror";
import type { Level } from "../src/feed/wire";
import { Peer, until, type ServerSocket } from "./peer";

interface Vector {
  readonly name: string;
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly books: readonly { readonly bids: unknown[]; readonly asks: unknown[]; readonly epoch: string; readonly seq: number; readonly crc: number }[];
}

/** Made by the naive model of the Python tests, which are held against them too. */
const VECTORS = JSON.parse(readFileSync(new URL("../../tests/vectors/streams.json", import.meta.url), "utf8")) as Vector[];
const OPTIONS: Readonly<Record<string, SubscribeOptions>> = {
  "best bid and offer": {},
  "two levels": { depth: 2 },
  "ten levels": {},
  "three levels with queues": { depth: 3, level: 3 },
  "every order": {},
};
const NAME = "CLX5";
const HEARTBEAT = { type: "heartbeat", seq: 1, sent: 1, conflated: 0, lag_ms: 0 };
const HEAD = { instrument: NAME, epoch: "9f2", sequence: 7, ts_event: "1", ts_recv: "2", state: "live", crossed: false, locked: false };

let peer: Peer;
let client: Client;
let updates: Update[];
let refusals: string[];
let losses: [string, boolean][];

function vector(name: string): Vector {
  const found = VECTORS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

function asWire(levels: readonly Level[], withQueues: boolean): unknown[] {
  return levels.map(({ price, size, count, queue }) => (withQueues ? [price, size, count, queue] : [price, size, count]));
}

/** Acknowledges what is asked, by the ids of the books that the names stand for; then `then`. */
function acknowledging(then: (socket: ServerSocket, request: Record<string, unknown>) => void = () => undefined): void {
  peer.onSocket = (socket) => {
    socket.onMessage = (request) => {
      const { op, id, channel, instrument } = request;
      const instrument_id = instrument === "other" ? 6 : 5;
      socket.send({ type: "ack", id, channel, instrument: instrument === "other" ? "OTHER" : NAME, publisher_id: 1, instrument_id });
      if (op === "subscribe") then(socket, request);
    };
  };
}

function open(settings: Partial<ClientSettings> = {}, onDelay: (delayMs: number) => void = () => undefined): void {
  const url = peer.base.replace("http", "ws") + "/v1/ws";
  const onLost = (reason: string, isFinal: boolean): void => { losses.push([reason, isFinal]); };
  client = new Client({ url, reconnectDelayMinMs: 1, reconnectDelayMaxMs: 5, ...settings }, { onLost, onDelay });
  client.connect();
}

function follow(channel: Channel, options: SubscribeOptions = {}, instrument = "5"): () => void {
  const onRefused = (code: string): void => { refusals.push(code); };
  return client.subscribe(channel, instrument, { onUpdate: (update) => { updates.push(update); }, onRefused }, options);
}

/** Of the last update. */
function book(withQueues: boolean): { bids: unknown[]; asks: unknown[]; epoch: string | undefined; seq: number | undefined; crc: number } {
  const update = updates.at(-1);
  if (update?.kind !== "book") throw new Error("no book");
  const { bids, asks, facts } = update.book;
  return { bids: asWire(bids, withQueues), asks: asWire(asks, withQueues), epoch: facts?.epoch, seq: facts?.seq, crc: update.book.checksum() };
}

function socketAt(index: number): ServerSocket {
  const socket = peer.sockets[index];
  if (socket === undefined) throw new Error(`no socket ${index}`);
  return socket;
}

function trades(prev: number | null, seq: number, ...sizes: number[]): object {
  const told = sizes.map((size) => ({ ts_event: "1", ts_recv: "2", price: null, size, side: "N", order_id: "0", sequence: 7 }));
  const kind = prev === null ? { type: "snapshot", publisher_id: 1, instrument_id: 5 } : { type: "delta", prev };
  return { ...HEAD, ...kind, channel: "trades", seq, trades: told };
}

/** A frame of one record of 8 bytes, behind metadata or not. */
function frame(instrumentId: number, withMetadata = false): Uint8Array {
  const record = Buffer.from([2, 0xa0, 1, 0, instrumentId, 0, 0, 0]);
  return withMetadata ? Buffer.concat([Buffer.from([0x44, 0x42, 0x4e, 3, 4, 0, 0, 0, 9, 9, 9, 9]), record]) : record;
}

beforeEach(async () => {
  [updates, refusals, losses] = [[], [], []];
  peer = new Peer();
  await peer.start();
  acknowledging();
});

afterEach(async () => {
  client.close();
  await peer.stop();
});

describe("the client", () => {
  it.each(Object.keys(OPTIONS))("follows the shared messages over a socket: %s", async (name) => {
    const { messages, books } = vector(name);
    acknowledging((socket) => { socket.send(messages[0]); });
    open();
    follow(messages[0]?.["channel"] as Channel, OPTIONS[name]);
    for (const [index, message] of messages.entries()) {
      if (index > 0) socketAt(0).send(message);
      await until(`update ${index}`, () => updates.length === index + 1);
      expect(book(name.includes("queues") || name === "every order")).toEqual(books[index]);
    }
    expect(client.resyncs).toBe(0);
  });

  it("asks anew for a book that does not fit, and ignores what was on its way", async () => {
    const { messages } = vector("every order");
    acknowledging((socket) => { socket.send(messages[0]); });
    open();
    follow("orders");
    await until("a book", () => updates.length === 1);
    socketAt(0).send({ ...messages[1], crc: 1 });
    socketAt(0).send(messages[1]);
    await until("a snapshot anew", () => updates.length === 2);
    expect(socketAt(0).received.map(({ op, id }) => [op, id])).toEqual([["subscribe", 1], ["unsubscribe", 2], ["subscribe", 3]]);
    expect(updates.at(-1)).toMatchObject({ kind: "book", isSnapshot: true });
    expect(client.resyncs).toBe(1);
  });

  it("hands over trades, and asks anew where some are missing", async () => {
    acknowledging((socket) => { socket.send(trades(null, 3, 1, 2)); });
    open();
    follow("trades");
    await until("a snapshot", () => updates.length === 1);
    socketAt(0).send(trades(3, 5, 4));
    socketAt(0).send(trades(6, 7, 5));
    await until("a snapshot anew", () => updates.length === 3);
    expect(updates.map((update) => update.kind === "trades" && [update.isSnapshot, update.trades.map(({ size }) => size)])).toEqual([
      [true, [1, 2]], [false, [4]], [true, [1, 2]],
    ]);
  });

  it("tells of gaps, and goes on with the snapshot behind them", async () => {
    acknowledging((socket) => { socket.send(trades(null, 3)); });
    open();
    follow("trades");
    await until("a snapshot", () => updates.length === 1);
    socketAt(0).send({ type: "gap", channel: "trades", instrument: NAME, from: 4, to: 9, reason: "slow_consumer" });
    socketAt(0).send(trades(null, 9, 8));
    await until("what follows", () => updates.length === 3);
    expect(updates[1]).toEqual({ kind: "gap", gap: { type: "gap", channel: "trades", instrument: NAME, from: 4, to: 9, reason: "slow_consumer" } });
    expect(client.resyncs).toBe(0);
  });

  it("tells the records of two books apart", async () => {
    open();
    const others: Update[] = [];
    follow("dbn");
    client.subscribe("dbn", "other", { onUpdate: (update) => { others.push(update); }, onRefused: () => undefined });
    await until("both are asked for", () => peer.sockets[0]?.received.length === 2);
    for (const bytes of [frame(5, true), frame(6, true), frame(6), frame(5)]) socketAt(0).sendBytes(bytes);
    await until("all frames", () => updates.length + others.length === 4);
    expect(updates).toEqual([
      { kind: "records", isSnapshot: true, bytes: new Uint8Array(frame(5, true)) },
      { kind: "records", isSnapshot: false, bytes: new Uint8Array(frame(5)) },
    ]);
    expect(others.map((update) => update.kind === "records" && update.isSnapshot)).toEqual([true, false]);
  });

  it("follows several channels of one book on one socket, and ends one of them", async () => {
    const [levels, orders] = [vector("ten levels").messages, vector("every order").messages];
    acknowledging((socket, { channel }) => { socket.send(channel === "orders" ? orders[0] : levels[0]); });
    open();
    const end = follow("depth");
    follow("orders");
    await until("both books", () => updates.length === 2);
    end();
    await until("the end is asked for", () => socketAt(0).received.length === 3);
    socketAt(0).send(levels[1]);
    socketAt(0).send(orders[1]);
    await until("the other goes on", () => updates.length === 3);
    expect(updates[2]?.kind === "book" && updates[2].book).toBeInstanceOf(OrderBook);
  });

  it("comes back to a server that was lost, with a new ticket and everything it follows", async () => {
    let tickets = 0;
    acknowledging((socket) => { socket.send(trades(null, 3)); });
    open({ ticket: () => Promise.resolve(`t${++tickets}`) });
    follow("trades");
    await until("a snapshot", () => updates.length === 1);
    socketAt(0).destroy();
    await until("another", () => updates.length === 2);
    expect(peer.sockets.map(({ protocols }) => protocols)).toEqual([
      ["l3book.v1.json", "l3book.ticket.t1"], ["l3book.v1.json", "l3book.ticket.t2"],
    ]);
    expect([client.reconnects, losses[0]?.[1]]).toEqual([1, false]);
  });

  it("ignores messages, and channels, of a server that is newer", async () => {
    acknowledging((socket) => { socket.send(trades(null, 3)); });
    open();
    follow("trades");
    await until("a snapshot", () => updates.length === 1);
    socketAt(0).send({ type: "auction", channel: "trades", instrument: NAME });
    socketAt(0).send({ ...HEAD, type: "delta", channel: "imbalance", prev: 3, seq: 4 });
    socketAt(0).send({ type: "announcement", text: "the server stops at midnight" });
    socketAt(0).send(trades(3, 5, 4));
    await until("what is known", () => updates.length === 2);
    expect([losses, client.resyncs]).toEqual([[], 0]);
  });

  it("takes silence for a loss, but not between heartbeats", async () => {
    open({ silenceMaxMs: 400 });
    await until("a socket", () => peer.sockets.length === 1);
    for (let beat = 0; beat < 5; beat += 1) {
      socketAt(0).send(HEARTBEAT);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(losses).toEqual([]);
    await until("it is given up", () => losses.length === 1);
    expect(losses[0]?.[0]).toBe("nothing was heard for 0.4 s");
  });

  it.each([[1012, false], [1007, true], [4401, true]])("comes back after a close with %i: not where it is final", async (code, isFinal) => {
    open();
    await until("a socket", () => peer.sockets.length === 1);
    socketAt(0).close(code, "so it is");
    await until("the loss", () => losses.length === 1);
    expect(losses[0]).toEqual([`the socket was closed (${code}: so it is)`, isFinal]);
    if (!isFinal) await until("another socket", () => peer.sockets.length === 2);
  });

  it("tells how late the line is, by pings that go through it, one at a time", async () => {
    const delays: number[] = [];
    const answers: (() => void)[] = [];
    peer.onSocket = (socket) => {
      socket.onMessage = ({ op, id }) => {
        if (op === "ping") answers.push(() => { socket.send({ type: "pong", id }); });
      };
    };
    open({ pingIntervalMs: 20 }, (delayMs) => { delays.push(delayMs); });
    await until("growing while it is not answered", () => delays.length >= 3);
    expect(answers).toHaveLength(1);
    expect(delays).toEqual([...delays].sort((a, b) => a - b));
    const before = delays.length;
    answers[0]?.();
    await until("an answer", () => delays.length > before);
    await until("the next one", () => answers.length === 2);
    socketAt(0).destroy();
    await until("unknown once the line is lost", () => delays.at(-1) === 0);
  });

  it("hands over a refusal, and asks again where it came too soon only", async () => {
    const codes = ["too_many_requests", "unknown_instrument"];
    peer.onSocket = (socket) => {
      socket.onMessage = ({ id }) => { socket.send({ type: "error", id, code: codes.shift(), detail: "no" }); };
    };
    open();
    follow("bbo");
    await until("the refusal", () => refusals.length === 1);
    expect([refusals, socketAt(0).received.length]).toEqual([["unknown_instrument"], 2]);
  });
});

describe("the book of orders", () => {
  beforeEach(() => { open(); });
  const rests = { bids: [["1.00", 5, 1, [["7", 5, "1"]]]], asks: [] };

  function books(...ops: unknown[][]): () => void {
    const order = new OrderBook();
    const take = (wire: object): void => {
      const { body } = parseMessage(JSON.stringify({ ...HEAD, channel: "orders", ...wire }));
      if (body.type === "orders snapshot" || body.type === "orders delta") order.apply(body);
    };
    take({ type: "snapshot", publisher_id: 1, instrument_id: 5, seq: 1, ...rests, crc: 2807030693 });
    return () => { take({ type: "delta", prev: 1, seq: 2, ops, crc: 0 }); };
  }

  it.each([
    [["A", "7", "B", "1.00", 1], "order 7 rests already"],
    [["M", "8", "1.00", 1, "keep"], "order 8 does not rest here"],
    [["C", "8", 1], "order 8 does not rest here"],
  ])("does not believe what cannot be: %j", (op, expected) => {
    const apply = books(op);
    expect(apply).toThrow(OutOfStep);
    expect(books(op)).toThrow(expected);
  });

  it("tells nothing of orders that are known to be wrong", () => {
    const order = new OrderBook();
    const take = (wire: object): void => {
      const { body } = parseMessage(JSON.stringify({ ...HEAD, channel: "orders", ...wire }));
      if (body.type === "orders snapshot" || body.type === "orders delta") order.apply(body);
    };
    take({ type: "snapshot", publisher_id: 1, instrument_id: 5, seq: 1, ...rests, crc: 2807030693 });
    expect(order.facts?.seq).toBe(1);
    expect(() => { take({ type: "delta", prev: 1, seq: 2, ops: [["C", "7", 1], ["C", "8", 1]], crc: 0 }); }).toThrow(OutOfStep);
    expect(order.facts).toBeNull();
  });

  it("forgets the orders of a side that a quote replaces", () => {
    expect(books(["Q", "B", null, 0])).not.toThrow();
    expect(books(["Q", "B", null, 0], ["C", "7", 1])).toThrow("order 7 does not rest here");
  });

  it("names the field of an operation that is none", () => {
    expect(books(["X"])).toThrow(WireError);
    expect(books(["A", "8", "B", "1.x", 1])).toThrow("ops[0]: expected a decimal string");
  });
});

describe("records", () => {
  beforeEach(() => { open(); });

  it("are of the book of the first, and of none without one", () => {
    expect(originOf(frame(5))).toEqual({ publisherId: 1, instrumentId: 5 });
    expect(originOf(frame(6, true))).toEqual({ publisherId: 1, instrumentId: 6 });
    expect(originOf(frame(6, true).subarray(0, 12))).toBeNull();
    expect(originOf(new Uint8Array(0))).toBeNull();
    expect(originOf(frame(6, true).subarray(0, 5))).toBeNull();
  });
});
