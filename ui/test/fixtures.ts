/** Small whole answers of the wire and of the feed, to be changed by the tests that use them. */

import { crc32 } from "../src/client/crc";
import type { Book, Level, Metrics } from "../src/feed/wire";

export function level(price: string, size = 1, count = 1): Level {
  return { price, size, count, queue: [] };
}

export function book(changes: Partial<Book> = {}): Book {
  return {
    publisherId: 1,
    instrumentId: 1,
    symbol: "CLX5",
    epoch: "9f2c",
    seq: 1,
    sequence: 10,
    tsEvent: "1758751200123456789",
    tsRecv: "1758751200123456999",
    state: "live",
    crossed: false,
    locked: false,
    bids: [level("64.77", 5, 2)],
    asks: [level("64.78", 7, 3)],
    orders: 5,
    levelsMax: 100,
    ...changes,
  };
}

export function metrics(changes: Partial<Metrics> = {}): Metrics {
  const latency = { count: 10, p50Ns: 80, p90Ns: 120, p99Ns: 300 };
  return {
    version: "0.1.0",
    source: { uri: "synthetic:", state: "running", error: null },
    ...{ lagNs: null, reconnects: null },
    recording: { state: "recording", warning: null, recordsLost: 0, tablesLagS: 0.5 },
    eventLoop: { p50Ms: 0, p99Ms: 2, maxMs: 5 },
    sockets: { open: 1, subscriptions: 2, sent: 100, bytes: 10_000, conflated: 0, gaps: 0 },
    uptimeS: 100,
    messagesPerS: 50_000,
    eventsPerS: 40_000,
    bytesPerS: 2_800_000,
    totalMessages: 1_000,
    totalEvents: 800,
    apply: latency,
    snapshot: latency,
    feed: latency,
    counters: [],
    books: 1,
    orders: 5,
    ...changes,
  };
}

export const WIRE_BOOK = {
  instrument_id: 1,
  publisher_id: 1,
  symbol: "CLX5",
  epoch: "9f2c",
  seq: 32053,
  sequence: 88213,
  ts_event: "1758751200123456789",
  ts_recv: "1758751200123456999",
  state: "live",
  crossed: true,
  locked: false,
  bids: [["65.40", 1, 1, [["6412345678901234567", 1, "1758751200123456789"]]]],
  asks: [["64.78", 3, 1]],
  orders: 147,
};

export const WIRE_METRICS = {
  version: "0.1.0",
  source: { uri: "synthetic:", state: "running", error: null },
  history: { state: "recording", warning: null, recorder: null, indexing: null },
  event_loop: { count: 20, lag_p50_ms: 0.1, lag_p99_ms: 2.5, lag_max_ms: 7 },
  websocket: { sockets: 3, subscriptions: 5, sent: 700, bytes: 90_000, conflated: 4, gaps: 1 },
  uptime_s: 12.3,
  throughput: { messages_per_s: 50000.5, events_per_s: 40000, bytes_per_s: 2800000, window_s: 1.0 },
  totals: { messages: 1000, events: 800, bytes: 56000 },
  latency: {
    apply: { count: 5, p50_ns: 70, p90_ns: 90, p99_ns: 200, max_ns: 900 },
    snapshot: { count: 0, p50_ns: 0, p90_ns: 0, p99_ns: 0, max_ns: 0 },
    feed: { count: 0, p50_ns: 0, p90_ns: 0, p99_ns: 0, max_ns: 0 },
  },
  counters: { unknown_cancels: 1224, rejected: { bad_price: 1 } },
  books: 1,
  orders: 147,
};

export const WIRE_INSTRUMENTS = {
  instruments: [
    { symbol: null, instrument_id: 77, publisher_id: 2, state: "live", seq: 12, orders: 345, ts_event: "1" },
    { symbol: "CLX5", instrument_id: 1, publisher_id: 1, state: "empty", seq: 0, orders: 0, ts_event: "0" },
  ],
};

/** A message of the stream whose checksum is that of its own levels, unless the changes say otherwise. */
export function wireMessage(kind: object, bids: readonly (readonly unknown[])[], asks: readonly (readonly unknown[])[], changes: object): object {
  const best = [...asks, ...bids].map(([price, size]) => `${String(price)}:${String(size)}`);
  const times = { ts_event: "1758751200123456789", ts_recv: "1758751200123456999" };
  return {
    ...kind,
    ...{ channel: "depth", instrument: "CLX5", epoch: "9f2", sequence: 88_213, ...times },
    ...{ state: "live", crossed: false, locked: false, bids, asks, crc: crc32(best.join(",")) },
    ...changes,
  };
}

const BIDS = [["64.21", 3, 1, [["6412345678901234567", 3, "1758751200123456789"]]]];
const ASKS = [["64.22", 75, 2, [["2", 70, "5"], ["3", 5, "6"]]], ["64.23", 1, 1, [["4", 1, "7"]]]];

export function wireSnapshot(seq: number, changes: object = {}): object {
  return wireMessage({ type: "snapshot", publisher_id: 1, instrument_id: 1, seq }, BIDS, ASKS, changes);
}

/** Where a replay stands still: behind the last message, where events since changed nothing shown. */
export function wireMoment(seq: number, orders: number, changes: object = {}): object {
  const times = { ts_event: "1758751200999999999", ts_recv: "1758751201000000000" };
  return { type: "moment", channel: "depth", instrument: "CLX5", epoch: "9f2", seq, sequence: 88_299, ...times, orders, ...changes };
}

/** A delta that says all levels of the snapshot again: it fits any book of just those prices. */
export function wireDelta(prev: number, seq: number, changes: object = {}): object {
  return wireMessage({ type: "delta", prev, seq }, BIDS, ASKS, changes);
}
