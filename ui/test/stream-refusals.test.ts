import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StreamingFeed } from "../src/feed/streaming";
import { State } from "../src/state";
import { WIRE_INSTRUMENTS, WIRE_METRICS, wireDelta, wireMessage, wireSnapshot } from "./fixtures";
import { json, Peer, until, type ServerSocket } from "./peer";

type Message = Record<string, unknown>;

const TRADE = { ts_event: "1", ts_recv: "2", price: "64.21", size: 3, side: "B", order_id: "0", sequence: 7 };

let peer: Peer;
let state: State;
let feed: StreamingFeed;

/** The first book, of a server that refuses what this has a code for. */
async function streaming(refusal: (message: Message) => string | null): Promise<ServerSocket> {
  peer.onSocket = (socket) => {
    socket.onMessage = (message) => {
      const { id, op, channel } = message;
      const code = refusal(message);
      if (code !== null) {
        socket.send({ type: "error", id, code, detail: "not so" });
        return;
      }
      socket.send({ type: "ack", id, channel, instrument: "CLX5", publisher_id: 1, instrument_id: 1 });
      if (op !== "subscribe") return;
      const trades = { type: "snapshot", publisher_id: 1, instrument_id: 1, seq: 7 };
      socket.send(channel === "depth" ? wireSnapshot(7) : wireMessage(trades, [], [], { channel, trades: [TRADE] }));
    };
  };
  state = new State();
  feed = new StreamingFeed(state, { rest: { base: peer.base } });
  feed.select("1:1");
  feed.start();
  await until("the first book", () => state.book !== null);
  const [socket] = peer.sockets;
  if (socket === undefined) throw new Error("no socket");
  return socket;
}

beforeEach(async () => {
  peer = new Peer();
  await peer.start();
  peer.routes.set("/v1/metrics", json(WIRE_METRICS));
  peer.routes.set("/v1/instruments", json(WIRE_INSTRUMENTS));
});

afterEach(async () => {
  feed.close();
  await peer.stop();
});

describe("what a server refuses of the stream", () => {
  it("are more levels than it is set to give: fewer are asked for", async () => {
    const socket = await streaming(({ depth, queues }) => ([depth, queues].some((each) => Number(each) > 20) ? "bad_parameter" : null));
    feed.showQueues("ladder", Infinity);
    socket.send(wireDelta(7, 12));
    await until("the next delta", () => state.depth?.seq === 12);
    const asked = socket.received.filter(({ op, channel }) => op === "subscribe" && channel === "depth");
    expect(asked.map(({ depth, queues }) => [depth, queues])).toEqual([[100, 30], [50, 30], [20, 20]]);
    expect([state.depth?.levelsMax, state.problems.size]).toEqual([20, 0]);
  });

  it("are trades, for now: they are followed again beside the book", async () => {
    let isRefused = false;
    const socket = await streaming(({ channel }) => {
      if (channel !== "trades" || isRefused) return null;
      isRefused = true;
      return "too_many_requests";
    });
    await until("trades", () => state.trades.length === 1);
    expect(socket.received.map(({ op, channel }) => [op, channel])).toEqual([["subscribe", "depth"], ["subscribe", "trades"], ["subscribe", "trades"]]);
  });
});
