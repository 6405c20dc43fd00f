import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Client, type ClientSettings } from "../src/client/client";
import type { Place } from "../src/client/messages";
import { Refusal } from "../src/client/travel";
import { wireDelta, wireSnapshot } from "./fixtures";
import { Peer, until, type ServerSocket } from "./peer";

const PLACE = { replay: "r1", state: "paused", ts: "1758750420000193260", speed: 10 };
const HEARTBEAT = { type: "heartbeat", seq: 1, sent: 1, conflated: 0, lag_ms: 0 };
const ACK = { type: "ack", channel: "depth", instrument: "CLX5", publisher_id: 1, instrument_id: 1 };

let peer: Peer;
let client: Client;
/** What the client told, in order. */
let told: string[];
let places: (Place | null)[];

function socketAt(index: number): ServerSocket {
  const socket = peer.sockets[index];
  if (socket === undefined) throw new Error(`no socket ${index}`);
  return socket;
}

/** Acknowledges subscriptions with a snapshot, and leaves the rest to the test. */
function answer(socket: ServerSocket, onTravel: (message: Record<string, unknown>) => void = () => undefined): void {
  socket.onMessage = (message) => {
    const { op, id } = message;
    if (op === "subscribe") {
      socket.send({ ...ACK, id });
      socket.send(wireSnapshot(7));
    } else if (op !== "unsubscribe") {
      onTravel(message);
    }
  };
}

function ops(socket: ServerSocket): unknown[] {
  return socket.received.map(({ op }) => op);
}

async function open(settings: Partial<ClientSettings> = {}): Promise<void> {
  const url = peer.base.replace("http", "ws") + "/v1/ws";
  client = new Client({ url, reconnectDelayMinMs: 1, reconnectDelayMaxMs: 5, ...settings }, {
    onTravel: (place, isJump) => {
      places.push(place);
      told.push(`${place?.state ?? "live"}${isJump ? ", a jump" : ""}`);
    },
    onAstray: (tsEvent) => { told.push(`astray from ${tsEvent}`); },
    onStranded: ({ code }) => { told.push(`stranded: ${code}`); },
  });
  client.subscribe("depth", "1:1", {
    onUpdate: (update) => { if (update.kind === "book") told.push(`${update.book.facts?.epoch ?? ""}-${update.book.facts?.seq ?? ""}`); },
    onRefused: (code) => { told.push(code); },
  });
  client.connect();
  await until("the live book", () => told.length === 1);
}

async function travelled(): Promise<void> {
  await open();
  answer(socketAt(0), ({ id }) => { socketAt(0).send({ type: "ack", id, ...PLACE }); });
  await client.travel({ op: "replay", from: "2025-09-24T21:47:00Z", paused: true });
  told = [];
}

beforeEach(async () => {
  [told, places] = [[], []];
  peer = new Peer();
  await peer.start();
  peer.onSocket = (socket) => { answer(socket, ({ id }) => { socket.send({ type: "ack", id, ...PLACE }); }); };
});

afterEach(async () => {
  client.close();
  await peer.stop();
});

describe("a client in the past", () => {
  it("asks as the protocol says, and is there when the server says so", async () => {
    await open();
    await client.travel({ op: "replay", from: "2025-09-24T21:47:00Z", speed: 10, paused: true });
    await client.travel({ op: "step", events: 1, instrument: "1:1" });
    await client.travel({ op: "resume", speed: 100 });
    await client.travel({ op: "seek", at: "1758751200123456789" });
    expect(socketAt(0).received.slice(1)).toEqual([
      { op: "replay", id: 2, from: "2025-09-24T21:47:00Z", speed: 10, paused: true },
      { op: "step", id: 3, events: 1, instrument: "1:1" },
      { op: "resume", id: 4, speed: 100 },
      { op: "seek", id: 5, at: "1758751200123456789" },
    ]);
    expect(told).toEqual(["9f2-7", "paused, a jump", "paused", "paused", "paused, a jump"]);
    expect(client.place).toEqual({ id: "r1", state: "paused", ts: "1758750420000193260", speed: 10 });
  });

  it("is told how far a step has led, by a server that says so", async () => {
    await open();
    await client.travel({ op: "replay", from: "2025-09-24T21:47:00Z", paused: true });
    expect(await client.travel({ op: "step", events: 1 })).toBeNull();
    answer(socketAt(0), ({ id }) => { socketAt(0).send({ type: "ack", id, ...PLACE, events: 0, stopped_at: "end" }); });
    expect(await client.travel({ op: "step", events: 1 })).toEqual({ events: 0, stoppedAt: "end" });
    answer(socketAt(0), ({ id }) => { socketAt(0).send({ type: "ack", id, ...PLACE, events: -2 }); });
    expect(await client.travel({ op: "step", events: -2 })).toEqual({ events: -2, stoppedAt: null });
  });

  it("tells what was sent before the answer before it, and what it brings after", async () => {
    await open();
    answer(socketAt(0), ({ id }) => {
      socketAt(0).send(wireDelta(7, 9));
      socketAt(0).send({ type: "ack", id, ...PLACE });
      socketAt(0).send(wireSnapshot(3, { epoch: "past" }));
    });
    await client.travel({ op: "replay", from: "1" });
    await until("the past", () => told.includes("past-3"));
    expect(told).toEqual(["9f2-7", "9f2-9", "paused, a jump", "past-3"]);
  });

  it("hands over a refusal, and stays where it is", async () => {
    await open();
    answer(socketAt(0), ({ id }) => { socketAt(0).send({ type: "error", id, code: "not_recorded", detail: "before all" }); });
    const refused = client.travel({ op: "replay", from: "1" });
    await expect(refused).rejects.toEqual(new Refusal("not_recorded", "before all"));
    expect([client.place, told]).toEqual([null, ["9f2-7"]]);
  });

  it("follows the clock of the replay by heartbeats, and believes none of before it", async () => {
    await travelled();
    socketAt(0).send({ ...HEARTBEAT, ...PLACE, state: "playing", ts: "1758750421000000000" });
    await until("the beat", () => told.length === 1);
    expect([told, client.place?.ts]).toEqual([["playing"], "1758750421000000000"]);
    socketAt(0).send(HEARTBEAT);
    socketAt(0).send(wireDelta(7, 8));
    await until("what came after", () => told.length === 2);
    expect(client.place?.ts).toBe("1758750421000000000");
  });

  it("hears that somebody else has ended the replay, and that a book has another name", async () => {
    await travelled();
    socketAt(0).send({ ...ACK, instrument: "CL_NEW" });
    socketAt(0).send(wireDelta(7, 8, { instrument: "CL_NEW" }));
    socketAt(0).send({ type: "ack", replay: null });
    await until("all of it", () => told.length === 2);
    expect([told, client.place]).toEqual([["9f2-8", "live, a jump"], null]);
  });

  it("comes back to where it was, before anything that it follows", async () => {
    await travelled();
    socketAt(0).send({ ...HEARTBEAT, ...PLACE, state: "playing", ts: "1758750429000000000" });
    await until("the beat", () => told.length === 1);
    const lost = client.travel({ op: "pause" });
    const rejected = expect(lost).rejects.toMatchObject({ code: "connection_lost" });
    answer(socketAt(0));
    socketAt(0).destroy();
    await until("the book of the past", () => told.at(-1) === "9f2-7");
    await rejected.catch(() => undefined);
    expect(socketAt(1).received[0]).toEqual({ op: "replay", id: 4, from: "1758750429000000000", speed: 10, paused: false });
    expect(ops(socketAt(1))).toEqual(["replay", "subscribe"]);
  });

  it("comes back to the very event it stood at, whose ts_recv is later than its ts_event", async () => {
    const from = async (index: number): Promise<unknown> => {
      const books = told.filter((each) => each.includes("-")).length;
      socketAt(index - 1).destroy();
      await until("the book", () => told.filter((each) => each.includes("-")).length > books);
      const { from, paused } = socketAt(index).received[0] ?? {};
      return [from, paused];
    };
    await travelled();
    // Nothing has moved since: the same question again.
    expect(await from(1)).toEqual(["2025-09-24T21:47:00Z", true]);
    await client.travel({ op: "step", events: 1 });
    socketAt(1).send(wireDelta(7, 8, { ts_event: "1758750420000190000" }));
    socketAt(1).send(wireDelta(8, 9, { ts_event: "1758751200123456790" }));
    await until("the step", () => told.at(-1) === "9f2-9");
    expect(await from(2)).toEqual(["1758751200123456790", true]);
    expect(await from(3)).toEqual(["1758751200123456790", true]);
  });

  it("says that the way back has led to another event than the one it stood at, until somebody goes elsewhere", async () => {
    const stood = "1758751200123456789";
    await travelled();
    socketAt(0).send(wireSnapshot(7));
    await until("the book of the past", () => told.at(-1) === "9f2-7");
    const back = async (index: number, tsEvent: string): Promise<string[]> => {
      peer.onSocket = (socket) => {
        socket.onMessage = ({ op, id }) => {
          socket.send(op === "subscribe" ? { ...ACK, id } : { type: "ack", id, ...PLACE });
          if (op === "subscribe") socket.send(wireSnapshot(7, { ts_event: tsEvent }));
        };
      };
      told = [];
      socketAt(index - 1).destroy();
      await until("the book", () => told.at(-1) === "9f2-7");
      return told.slice(0, -1);
    };
    expect(await back(1, stood)).toEqual(["paused, a jump"]);
    expect(await back(2, "1758751100000000000")).toEqual(["paused, a jump", `astray from ${stood}`]);
    expect(await back(3, "1758751100000000000")).toEqual(["paused, a jump", `astray from ${stood}`]);
    await client.travel({ op: "seek", at: "1758751100000000000" });
    socketAt(3).send(wireSnapshot(7, { ts_event: "1758751100000000000" }));
    await until("the book that was asked for", () => told.at(-1) === "9f2-7");
    expect(await back(4, "1758751100000000000")).toEqual(["paused, a jump"]);
  });

  it("goes on by itself again where it waited at the end of what is recorded", async () => {
    await travelled();
    socketAt(0).send({ ...HEARTBEAT, ...PLACE, state: "ended", ts: "1758750429000000000" });
    await until("the end", () => told.at(-1) === "ended");
    socketAt(0).destroy();
    await until("the book", () => told.at(-1) === "9f2-7");
    expect(socketAt(1).received[0]).toMatchObject({ from: "1758750429000000000", paused: false });
  });

  it("tries the way back again where that is of use, and else says that it is live", async () => {
    await travelled();
    const codes = ["history_busy", "history_unavailable"];
    peer.onSocket = (socket) => {
      answer(socket, ({ id }) => { socket.send({ type: "error", id, code: codes.shift(), detail: "no" }); });
    };
    socketAt(0).destroy();
    await until("the live book", () => told.at(-1) === "9f2-7");
    expect(told).toEqual(["live, a jump", "stranded: history_unavailable", "9f2-7"]);
    expect(ops(socketAt(1))).toEqual(["replay", "replay", "subscribe"]);
  });

  it("is live at once when nobody is there to be asked", async () => {
    await travelled();
    client.disconnect();
    await client.travel({ op: "live" });
    expect([client.place, told]).toEqual([null, ["live, a jump"]]);
    await expect(client.travel({ op: "pause" })).rejects.toMatchObject({ code: "no_stream" });
  });

  it("is not taken back where it was leaving when the connection was lost", async () => {
    await travelled();
    answer(socketAt(0));
    const left = client.travel({ op: "live" });
    await until("the question", () => ops(socketAt(0)).at(-1) === "live");
    socketAt(0).destroy();
    await left;
    await until("the live book", () => told.at(-1) === "9f2-7");
    expect([told, ops(socketAt(1))]).toEqual([["live, a jump", "9f2-7"], ["subscribe"]]);
  });
});
