import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BookStreamSettings } from "../src/feed/book-stream";
import type { Link } from "../src/feed/feed";
import { StreamingFeed, type StreamingSettings } from "../src/feed/streaming";
import { notices } from "../src/notices";
import { State } from "../src/state";
import { WIRE_BOOK, WIRE_INSTRUMENTS, WIRE_METRICS, wireDelta, wireMessage, wireMoment, wireSnapshot } from "./fixtures";
import { json, Peer, problem, until, type ServerSocket } from "./peer";

const ACK = { type: "ack", channel: "depth", instrument: "CLX5", publisher_id: 1, instrument_id: 1 };
const HEARTBEAT = { type: "heartbeat", sent: 1, conflated: 0, lag_ms: 0 };

/** The number of resting orders, which no message tells, is asked for beside the stream. */
const ORDERS = "/v1/books/1%3A1?level=1&depth=1";

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
  const stream = { reconnectDelayMinMs: 20, reconnectDelayMaxMs: 20, ...settings.stream };
  feed = new StreamingFeed(state, { rest, ...settings, stream });
}

/** A server that acknowledges, and sends a snapshot of this seq. */
function answering(seq: number, changes: object = {}): (socket: ServerSocket) => void {
  return (socket) => {
    socket.onMessage = answeringWith(socket, seq, changes);
  };
}

function booksAsked(): string[] {
  return peer.asked.filter((line) => line.startsWith("/v1/books/") && line !== ORDERS);
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
      { op: "subscribe", id: 1, channel: "depth", instrument: "1:1", depth: 100, level: 3, queues: 30, interval_ms: 50 },
      { op: "subscribe", id: 2, channel: "trades", instrument: "1:1", interval_ms: 50 },
    ]);
    expect(state.book?.asks.map(({ price, size, count }) => [price, size, count])).toEqual([["64.22", 75, 2], ["64.23", 1, 1]]);
    expect(state.book?.bids[0]?.queue).toEqual([["6412345678901234567", 3, "1758751200123456789"]]);
    expect(state.depth?.asks).toHaveLength(2);
    expect(state.link).toEqual({ state: "open", via: "stream" });
    await until("the number of orders", () => state.book?.orders === WIRE_BOOK.orders && state.metrics !== null);
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
    expect(asked(socket).slice(1).map(({ op }) => op)).toEqual(["unsubscribe", "subscribe"]);
    socket.send(wireDelta(20, 21));
    await until("the next delta", () => state.book?.seq === 21);
  });

  it("shows no book that is known to be wrong, and says so until one fits", async () => {
    const socket = await streaming();
    expect(feed.check).toBe("matches");
    socket.onMessage = () => undefined;
    socket.send(wireDelta(7, 9, { crc: 4 }));
    await until("the fault", () => feed.check === "differs");
    const polled = peer.asked.length;
    await until("orders twice", () => peer.asked.slice(polled).filter((line) => line === ORDERS).length >= 2);
    expect([state.book?.seq, feed.check]).toEqual([7, "differs"]);
    await until("the request", () => asked(socket).length === 3);
    socket.send({ ...ACK, id: asked(socket)[2]?.["id"] });
    socket.send(wireSnapshot(20));
    await until("the snapshot", () => state.book?.seq === 20);
    expect(feed.check).toBe("matches");
  });

  it("ignores what still comes of another instrument", async () => {
    const socket = await streaming();
    socket.onMessage = () => undefined;
    state.select("1:2");
    feed.select("1:2");
    await until("the request", () => asked(socket).length === 3);
    socket.send(wireDelta(7, 8));
    const other = { instrument: "ESZ5", instrument_id: 2 };
    socket.send({ ...ACK, ...other, id: asked(socket)[2]?.["id"] });
    socket.send(wireSnapshot(3, other));
    await until("the other book", () => state.book !== null);
    expect(state.book).toMatchObject({ symbol: "ESZ5", instrumentId: 2, seq: 3 });
  });

  it("hands over trades, and what does not continue what was", async () => {
    const socket = await streaming();
    const resets: string[] = [];
    const onReset = state.onReset.bind(state);
    state.onReset = (why) => {
      resets.push(why);
      onReset(why);
    };
    socket.send({ ...ACK, channel: "trades", id: 2 });
    socket.send(wireTrades(null, 7, 1));
    socket.send(wireTrades(7, 9, 2, 3));
    await until("the trades", () => state.trades.length === 3);
    expect(state.trades.map(({ size }) => size)).toEqual([1, 2, 3]);
    socket.send(wireTrades(null, 1, 4, 5, "aaa"));
    socket.send(wireSnapshot(1, { epoch: "aaa" }));
    await until("the new epoch", () => state.book?.epoch === "aaa");
    expect([resets, state.trades.map(({ size }) => size), state.restart?.what]).toEqual([["epoch"], [4, 5], "book"]);
  });

  it("goes to the past and back, where nothing of another time is left on view", async () => {
    const socket = await streaming();
    socket.onMessage = ({ op, id }) => {
      socket.send(op === "live" ? { type: "ack", id, replay: null } : { type: "ack", id, replay: "r1", state: "paused", ts: "5", speed: 1 });
    };
    await feed.replay("2025-09-24T21:47:00Z", { paused: true });
    expect([state.book, state.depth, state.standing()]).toEqual([null, null, "past"]);
    socket.send(wireSnapshot(3, { epoch: "past" }));
    await until("the past", () => state.book?.seq === 3);
    expect([state.standing(), state.replay?.ts, state.restart, state.book?.orders]).toEqual(["past", "5", null, null]);
    // Events that change nothing shown bring no delta: it is the moment that tells of them.
    socket.send(wireMoment(5, 147, { epoch: "past" }));
    await until("the moment", () => state.book?.seq === 5);
    expect([state.book?.tsEvent, state.book?.orders, state.book?.bids.length]).toEqual(["1758751200999999999", 147, 1]);
    socket.send(wireDelta(3, 6, { epoch: "past" }));
    await until("what follows", () => state.book?.seq === 6);
    expect([feed.resyncs, state.book?.orders]).toEqual([0, null]);
    await feed.step(-1);
    expect([state.book, socket.received.at(-1)]).toEqual([null, { op: "step", id: 4, events: -1, instrument: "1:1" }]);
    await feed.live();
    socket.send(wireSnapshot(30));
    await until("the present", () => state.book?.seq === 30);
    expect([state.standing(), state.replay]).toEqual(["current", null]);
  });

  it("polls no live books where those of the past stand", async () => {
    const socket = await streaming();
    socket.onMessage = ({ id }) => { socket.send({ type: "ack", id, replay: "r1", state: "playing", ts: "5", speed: 1 }); };
    await feed.replay("5");
    socket.send(wireSnapshot(3, { epoch: "past" }));
    await until("the past", () => state.book?.seq === 3);
    peer.onSocket = null;
    socket.destroy();
    await until("no socket", () => state.link.state === "open" && state.link.via === "polling");
    await expect(feed.seek("6")).rejects.toMatchObject({ code: "no_stream" });
    expect([booksAsked(), state.standing()]).toEqual([[], "past"]);
    await feed.live();
    await until("a polled book", () => state.book?.seq === WIRE_BOOK.seq);
  });

  it("asks again in the past for what the present has refused, and again when it is back", async () => {
    let time = "now";
    peer.routes.set("/v1/books/OLD", problem(404, "No such book"));
    peer.onSocket = (socket) => {
      socket.onMessage = (message) => {
        const { op, id } = message;
        if (op === "replay" || op === "live") time = op;
        if (op === "live") socket.send({ type: "ack", id, replay: null });
        else if (op === "replay") socket.send({ type: "ack", id, replay: "r1", state: "paused", ts: "5", speed: 1 });
        else if (op === "subscribe" && time !== "replay") socket.send({ type: "error", id, code: "unknown_instrument", detail: "no" });
        else answeringWith(socket, 3)(message);
      };
    };
    open();
    feed.select("OLD");
    feed.start();
    await until("the 404", () => state.problems.has("book"));
    await feed.replay("5", { paused: true });
    await until("the past", () => state.book?.seq === 3);
    expect([state.problems.size, state.standing()]).toEqual([0, "past"]);
    const polled = booksAsked().length;
    await feed.live();
    await until("the 404 again", () => state.problems.get("book")?.status === 404);
    expect(booksAsked().length).toBeGreaterThan(polled);
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

function answeringWith(socket: ServerSocket, seq: number, changes: object = {}): (message: Record<string, unknown>) => void {
  return ({ op, id, channel }) => {
    socket.send({ ...ACK, id, channel });
    if (op === "subscribe" && channel === "depth") socket.send(wireSnapshot(seq, changes));
  };
}

function wireTrades(prev: number | null, seq: number, ...rest: (number | string)[]): object {
  const epoch = rest.find((each) => typeof each === "string") ?? "9f2";
  const trades = rest.filter((each) => typeof each === "number").map((size) => {
    return { ts_event: "1", ts_recv: "2", price: "64.21", size, side: "B", order_id: "0", sequence: 7 };
  });
  const kind = prev === null ? { type: "snapshot", publisher_id: 1, instrument_id: 1 } : { type: "delta", prev };
  return wireMessage({ ...kind, seq }, [], [], { channel: "trades", epoch, trades });
}

/** What was asked of the book; the trades are asked for beside it. */
function asked(socket: ServerSocket): Record<string, unknown>[] {
  return socket.received.filter(({ channel }) => channel === "depth");
}

describe("the queues of a book", () => {
  const queues = (socket: ServerSocket): unknown[] => asked(socket).map(({ op, queues }) => (op === "subscribe" ? queues : op));

  /** `wide`: the seq at which more than the first queues are answered, as long as it is told; those are answered at 7. */
  async function first(wide: () => number | null, settings: Partial<BookStreamSettings> = {}): Promise<ServerSocket> {
    peer.onSocket = (socket) => {
      socket.onMessage = (message) => {
        const seq = message["queues"] === 2 || message["channel"] !== "depth" ? 7 : wide();
        if (seq !== null) answeringWith(socket, seq)(message);
      };
    };
    open({ book: { firstQueues: 2, widenDelayMs: 5, unseenMaxMs: 30, ...settings } });
    feed.select("1:1");
    feed.start();
    await until("the first book", () => state.book !== null);
    return socketAt(0);
  }

  /** As the ladder does, with every frame. */
  async function showingUntil(levels: number, what: string, condition: () => boolean): Promise<void> {
    await until(what, () => {
      feed.showQueues("ladder", levels);
      return condition();
    });
  }

  it("are those of the best levels as long as no more are shown", async () => {
    const socket = await first(() => 9);
    await showingUntil(2, "another message", () => socket.received.some(({ channel }) => channel === "trades"));
    socket.send(wireDelta(7, 12));
    await showingUntil(2, "the next delta", () => state.book?.seq === 12);
    expect(queues(socket)).toEqual([2]);
  });

  it("are asked for where more are shown, by tens, and no more of them than there are levels", async () => {
    const socket = await first(() => 9);
    await showingUntil(3, "ten", () => state.depth?.seq === 9);
    expect(queues(socket)).toEqual([2, "unsubscribe", 10]);
    await showingUntil(Infinity, "all", () => queues(socket).length === 5);
    expect(queues(socket).at(-1)).toBe(100);
    socket.send(wireDelta(9, 12));
    await until("the next delta", () => state.book?.seq === 12);
    expect(feed.resyncs).toBe(0);
  });

  it("are as few as before when more are shown no longer", async () => {
    const socket = await first(() => 9);
    await showingUntil(8, "ten", () => state.depth?.seq === 9);
    await showingUntil(1, "two again", () => queues(socket).length === 5);
    expect(queues(socket)).toEqual([2, "unsubscribe", 10, "unsubscribe", 2]);
    await until("the book", () => state.depth?.seq === 7);
  });

  it("leave the book on view until more of them have come", async () => {
    const socket = await first(() => null);
    await showingUntil(50, "the request", () => queues(socket).length === 3);
    // Of the subscription before: it is not to be believed.
    socket.send(wireDelta(7, 8));
    const polled = peer.asked.length;
    await until("metrics twice", () => peer.asked.slice(polled).filter((line) => line.startsWith("/v1/metrics")).length >= 2);
    expect([state.book?.seq, state.link]).toEqual([7, { state: "open", via: "stream" }]);
  });

  it("stay few where more do not come, and are asked for again later", async () => {
    let wide: number | null = null;
    const socket = await first(() => wide, { wideMaxMs: 40, narrowRetryMs: 100, unseenMaxMs: 10_000 });
    await showingUntil(50, "the few again", () => queues(socket).length >= 5);
    expect(queues(socket).slice(0, 5)).toEqual([2, "unsubscribe", 50, "unsubscribe", 2]);
    expect([state.book?.seq, state.link]).toEqual([7, { state: "open", via: "stream" }]);
    wide = 20;
    await showingUntil(50, "more", () => state.depth?.seq === 20);
  });

  it("are the first ones again on another socket", async () => {
    const socket = await first(() => 9);
    await showingUntil(50, "more", () => state.depth?.seq === 9);
    socket.destroy();
    await until("another socket", () => peer.sockets.length === 2);
    await showingUntil(50, "more again", () => queues(socketAt(1)).length === 3 && state.link.state === "open");
    expect(queues(socketAt(1))).toEqual([2, "unsubscribe", 50]);
  });
});

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

  it("is said to be lost at once", async () => {
    const socket = await streaming();
    const before = links.length;
    peer.onSocket = answering(30);
    socket.destroy();
    await until("the new stream", () => state.book?.seq === 30);
    expect(links.slice(before)).toEqual([{ state: "connecting" }, { state: "open", via: "stream" }]);
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
      socket.onMessage = (message) => {
        const { op, id } = message;
        if (op === "subscribe" && !isThere) socket.send({ type: "error", id, code: "ambiguous_instrument", detail: "two" });
        else answeringWith(socket, 9)(message);
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
    // One was asked for before it was known that a key is wanted.
    expect(peer.sockets.length).toBeLessThanOrEqual(1);
    key = "l3b_bad";
    feed.rekeyed();
    await until("the second refusal", () => links.filter((link) => link.state === "locked").length === 2);
    key = "l3b_good";
    feed.rekeyed();
    await until("the book", () => state.book?.seq === 7);
    expect(peer.sockets.at(-1)?.protocols).toEqual(["l3book.v1.json", "l3book.ticket.once"]);
    expect(peer.asked.join()).not.toContain("l3b_");
  });
});
