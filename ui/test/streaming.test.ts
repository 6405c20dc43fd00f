import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Link } from "../src/feed/feed";
import { StreamingFeed, type StreamingSettings } from "../src/feed/streaming";
import { notices } from "../src/notices";
import { State } from "../src/state";
import { WIRE_BOOK, WIRE_INSTRUMENTS, WIRE_METRICS, wireDelta, wireSnapshot } from "./fixtures";
import { json, Peer, problem, until, type ServerSocket } from "./peer";

const ACK = { type: "ack", channel: "depth", instrument: "CLX5", publisher_id: 1, instrument_id: 1 };
const HEARTBEAT = { type: "heartbeat", sent: 1, conflated: 0, lag_ms: 0 };

let peer: Peer;
let state: State;
let feed: StreamingFeed;
let links: Link[];

function open(settings: Partial<StreamingSettings> = {}): void {
  links = [];
  state = new State();
  const onLink = state.onLink.bind(state);
  state.onLink = (link) => {
    links.push(link);
    onLink(link);
  };
  const rest = { base: peer.base, bookIntervalMs: 5, depthIntervalMs: 10, slowIntervalMs: 20, retryDelayMs: () => 20 };
  feed = new StreamingFeed(state, { rest, retryDelayMs: () => 20, ...settings });
}

/** A server that acknowledges, and sends a snapshot of this seq. */
function answering(seq: number, changes: object = {}): (socket: ServerSocket) => void {
  return (socket) => {
    socket.onMessage = ({ op, id }) => {
      socket.send({ ...ACK, id });
      if (op === "subscribe") socket.send(wireSnapshot(seq, changes));
    };
  };
}

function booksAsked(): string[] {
  return peer.asked.filter((line) => line.startsWith("/v1/books/"));
}

function socketAt(index: number): ServerSocket {
  const socket = peer.sockets[index];
  if (socket === undefined) throw new Error(`no socket ${index}`);
  return socket;
}

async function streaming(): Promise<ServerSocket> {
  open();
  feed.select("1:1");
  feed.start();
  await until("the first book", () => state.book?.seq === 7);
  return socketAt(0);
}

beforeEach(async () => {
  peer = new Peer();
  await peer.start();
  peer.routes.set("/v1/metrics", json(WIRE_METRICS));
  peer.routes.set("/v1/instruments", json(WIRE_INSTRUMENTS));
  peer.routes.set("/v1/books/1%3A1", json(WIRE_BOOK));
  peer.onSocket = answering(7);
});

afterEach(async () => {
  feed.close();
  await peer.stop();
});

describe("the feed over WebSocket", () => {
  it("subscribes to depth with queues, and asks for no book by HTTP", async () => {
    const socket = await streaming();
    expect(socket.protocols).toEqual(["l3book.v1.json"]);
    expect(socket.received).toEqual([
      { op: "subscribe", id: 1, channel: "depth", instrument: "1:1", depth: 100, level: 3, interval_ms: 100 },
    ]);
    expect(state.book?.asks.map(({ price, size, count }) => [price, size, count])).toEqual([["64.22", 75, 2], ["64.23", 1, 1]]);
    expect(state.book?.bids[0]?.queue).toEqual([["6412345678901234567", 3, "1758751200123456789"]]);
    expect(state.depth?.asks).toHaveLength(2);
    expect(state.link).toEqual({ state: "open", via: "stream" });
    await until("the number of orders, from the instruments", () => state.book?.orders === 0 && state.metrics !== null);
    expect(booksAsked()).toEqual([]);
  });

  it("cuts the ladder to the depth chosen, and the chart not", async () => {
    await streaming();
    feed.setDepth(1);
    expect(state.book?.asks).toHaveLength(1);
    expect(state.depth?.asks).toHaveLength(2);
  });

  it("follows deltas", async () => {
    const socket = await streaming();
    socket.send(wireDelta(7, 9));
    socket.send(wireDelta(9, 12, { state: "suspect" }));
    await until("both", () => state.book?.seq === 12);
    expect(state.book?.state).toBe("suspect");
    expect(links.filter((link) => link.state !== "connecting")).toHaveLength(1);
  });

  it.each([
    ["lost", wireDelta(8, 9)],
    ["damaged", wireDelta(7, 9, { crc: 4 })],
  ])("asks for a snapshot anew when a delta was %s", async (_what, message) => {
    const socket = await streaming();
    peer.onSocket = null;
    socket.onMessage = answeringWith(socket, 20);
    socket.send(message);
    // Still on its way when the server is asked: of the subscription before, and not to be believed.
    socket.send(wireDelta(9, 11));
    await until("the snapshot", () => state.book?.seq === 20);
    expect(socket.received.slice(1).map(({ op }) => op)).toEqual(["unsubscribe", "subscribe"]);
    socket.send(wireDelta(20, 21));
    await until("the next delta", () => state.book?.seq === 21);
  });

  it("ignores what still comes of another instrument", async () => {
    const socket = await streaming();
    socket.onMessage = () => undefined;
    state.select("1:2");
    feed.select("1:2");
    await until("the request", () => socket.received.length === 3);
    socket.send(wireDelta(7, 8));
    const other = { instrument: "ESZ5", instrument_id: 2 };
    socket.send({ ...ACK, ...other, id: socket.received[2]?.["id"] });
    socket.send(wireSnapshot(3, other));
    await until("the other book", () => state.book !== null);
    expect(state.book).toMatchObject({ symbol: "ESZ5", instrumentId: 2, seq: 3 });
  });

  it("hears from heartbeats that the book moves beyond the levels on view", async () => {
    const socket = await streaming();
    socket.send({ ...HEARTBEAT, seq: 7 });
    await until("the first heartbeat", () => state.changedAtMs > 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const before = state.changedAtMs;
    socket.send({ ...HEARTBEAT, seq: 9 });
    await until("news", () => state.changedAtMs > before);
    expect(state.book?.seq).toBe(7);
  });
});

function answeringWith(socket: ServerSocket, seq: number): (message: Record<string, unknown>) => void {
  return ({ op, id }) => {
    socket.send({ ...ACK, id });
    if (op === "subscribe") socket.send(wireSnapshot(seq));
  };
}

describe("a socket that is not to be had", () => {
  it("has books polled, and takes over when it can be opened", async () => {
    peer.onSocket = null;
    open();
    feed.select("1:1");
    feed.start();
    await until("a polled book", () => state.book?.seq === WIRE_BOOK.seq);
    expect(state.link).toEqual({ state: "open", via: "polling" });
    peer.onSocket = answering(40_000);
    await until("the stream", () => state.book?.seq === 40_000);
    expect(state.link).toEqual({ state: "open", via: "stream" });
    const asked = booksAsked().length;
    await until("metrics, three times", () => peer.asked.filter((line) => line.startsWith("/v1/metrics")).length >= 6);
    // A request for each of the two books may have been on its way.
    expect(booksAsked().length - asked).toBeLessThanOrEqual(2);
  });

  it("is given up when the server falls silent, and opened again", async () => {
    open({ stream: { silenceMaxMs: 60 } });
    feed.select("1:1");
    feed.start();
    await until("another socket", () => peer.sockets.length >= 2);
    await until("its book", () => state.book?.seq === 7);
  });

  it("is opened again after the server has closed it, while the server answers", async () => {
    const socket = await streaming();
    peer.onSocket = answering(30);
    socket.close(1008, "too slow");
    await until("the new stream", () => state.book?.seq === 30);
    expect(links.some((link) => link.state === "down")).toBe(false);
  });

  it("counts down to the next try when the server is gone, and tells a new epoch when it is back", async () => {
    await streaming();
    await peer.stop();
    await until("three attempts", () => links.some((link) => link.state === "down" && link.attempt === 3));
    expect(links.find((link) => link.state === "down" && link.retryAtMs !== null)).toBeDefined();
    expect(state.book?.seq).toBe(7);
    peer.onSocket = answering(1, { epoch: "aaa" });
    peer.routes.set("/v1/metrics", json({ ...WIRE_METRICS, uptime_s: 0.1 }));
    await peer.start();
    await until("the new book", () => state.book?.epoch === "aaa");
    expect(state.restart?.what).toBe("server");
    expect(state.link).toEqual({ state: "open", via: "stream" });
  });

  it("is not opened while the tab is hidden", async () => {
    await streaming();
    feed.pause();
    expect(state.link.state).toBe("paused");
    peer.onSocket = answering(50);
    feed.resume();
    await until("the newer book", () => state.book?.seq === 50);
    expect(peer.sockets).toHaveLength(2);
  });
});

describe("an instrument that is refused", () => {
  it("has its refusal by HTTP, with the choices, and is found when it comes back", async () => {
    let isThere = false;
    peer.routes.set("/v1/books/CLX5", problem(409, "Ambiguous", { choices: ["1:1", "2:1"] }));
    peer.onSocket = (socket) => {
      socket.onMessage = ({ op, id }) => {
        if (op === "subscribe" && !isThere) socket.send({ type: "error", id, code: "ambiguous_instrument", detail: "two" });
        else answeringWith(socket, 9)({ op, id });
      };
    };
    open();
    feed.select("CLX5");
    feed.start();
    await until("the 409", () => state.problems.get("book")?.choices.length === 2);
    isThere = true;
    peer.routes.set("/v1/books/CLX5", json(WIRE_BOOK));
    await until("the stream", () => state.book?.seq === 9);
    expect(state.problems.size).toBe(0);
  });
});

describe("a server that wants a key", () => {
  it("is asked for nothing more until there is one, and then with a ticket", async () => {
    const unauthorized = problem(401, "Unauthorized", { detail: "a key is needed: expected it in a header", code: "unauthorized" });
    peer.routes.set("/v1/metrics", (request, response) => {
      const isGood = request.headers.authorization === "Bearer l3b_good";
      (isGood ? json(WIRE_METRICS) : unauthorized)(request, response);
    });
    peer.routes.set("/v1/tickets", (request, response) => {
      expect([request.method, request.headers.authorization]).toEqual(["POST", "Bearer l3b_good"]);
      json({ ticket: "once", expires_in_s: 30 })(request, response);
    });
    let key: string | null = null;
    open({ key: () => key });
    feed.select("1:1");
    feed.start();
    await until("the lock", () => state.link.state === "locked");
    expect(notices(state, 0)[0]).toMatchObject({ id: "locked", action: "key", text: "The server wants an API key: a key is needed." });
    const asked = peer.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(peer.asked).toHaveLength(asked);
    key = "l3b_bad";
    feed.rekeyed();
    await until("the second refusal", () => links.filter((link) => link.state === "locked").length === 2);
    key = "l3b_good";
    feed.rekeyed();
    await until("the book", () => state.book?.seq === 7);
    expect(socketAt(0).protocols).toEqual(["l3book.v1.json", "l3book.ticket.once"]);
    expect(peer.asked.join()).not.toContain("l3b_");
  });
});
