/**
 * The HTTP contract as types, with the checks that turn an unknown answer into them. An answer of another
 * shape is an error that names the field, not a page that shows nothing.
 */

import { fields, flag, list, nullable, number, oneOf, parseLevel, text, type Fields } from "./fields";

export const BOOK_STATES = ["empty", "snapshot", "live", "suspect"] as const;
export type BookState = (typeof BOOK_STATES)[number];

export const SOURCE_STATES = ["starting", "connecting", "running", "reconnecting", "ended", "failed"] as const;
export type SourceState = (typeof SOURCE_STATES)[number];

/** [order_id, size, ts_event in ns]. */
export type QueueEntry = readonly [orderId: string, size: number, tsEvent: string];

export interface Level {
  readonly price: string;
  readonly size: number;
  readonly count: number;
  /** In priority order; empty where it was not asked for. */
  readonly queue: readonly QueueEntry[];
}

export interface Book {
  readonly publisherId: number;
  readonly instrumentId: number;
  readonly symbol: string | null;
  readonly epoch: string;
  readonly seq: number;
  readonly sequence: number;
  readonly tsEvent: string;
  readonly tsRecv: string;
  readonly state: BookState;
  readonly crossed: boolean;
  readonly locked: boolean;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  /** Resting orders of the whole book; null where nothing tells them. */
  readonly orders: number | null;
  /** So many levels of a side were asked for: one that has fewer is whole. */
  readonly levelsMax: number;
}

export interface Instrument {
  readonly symbol: string | null;
  readonly instrumentId: number;
  readonly publisherId: number;
  readonly state: BookState;
  readonly seq: number;
  readonly orders: number;
}

export interface Latency {
  readonly count: number;
  readonly p50Ns: number | null;
  readonly p90Ns: number | null;
  readonly p99Ns: number | null;
}

export interface RecordingHealth {
  readonly state: string;
  readonly warning: string | null;
  /** Null where nothing records, or nothing makes tables. */
  readonly recordsLost: number | null;
  readonly tablesLagS: number | null;
}

/** Of all clients of /v1/ws; all but the first two are counted since the server's start. */
export interface SocketCounts {
  readonly open: number;
  readonly subscriptions: number;
  readonly sent: number;
  readonly bytes: number;
  readonly conflated: number;
  readonly gaps: number;
}

export interface Metrics {
  readonly version: string;
  readonly source: { readonly uri: string; readonly state: SourceState; readonly error: string | null };
  /** Now less the last ts_recv; of a live feed only, as is the next. */
  readonly lagNs: number | null;
  readonly reconnects: number | null;
  readonly recording: RecordingHealth;
  readonly eventLoop: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
  readonly sockets: SocketCounts;
  readonly uptimeS: number;
  readonly messagesPerS: number;
  readonly eventsPerS: number;
  readonly bytesPerS: number;
  readonly totalMessages: number;
  readonly totalEvents: number;
  readonly apply: Latency;
  readonly snapshot: Latency;
  /** From the receipt of a chunk until it is applied. */
  readonly feed: Latency;
  readonly counters: readonly (readonly [name: string, value: number])[];
  readonly books: number;
  readonly orders: number;
}

/** RFC 9457. `choices` comes with a 409 only. */
export interface Problem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly code: string;
  readonly traceId: string;
  readonly choices: readonly string[];
}

/** Whether the server knows no instrument of the name, or no longer has its book. */
export function isUnknownInstrument({ status, code }: Pick<Problem, "status" | "code">): boolean {
  return status === 404 || code === "unknown_instrument";
}

export function parseBook(value: unknown, levelsMax: number): Book {
  const book = fields(value, "book");
  const levels = (side: "bids" | "asks"): Level[] =>
    list(book[side], `book.${side}`).map((level, index) => parseLevel(level, `book.${side}[${index}]`));
  return {
    publisherId: number(book["publisher_id"], "book.publisher_id"),
    instrumentId: number(book["instrument_id"], "book.instrument_id"),
    symbol: nullable(book["symbol"], "book.symbol", text),
    epoch: text(book["epoch"], "book.epoch"),
    seq: number(book["seq"], "book.seq"),
    sequence: number(book["sequence"], "book.sequence"),
    tsEvent: text(book["ts_event"], "book.ts_event"),
    tsRecv: text(book["ts_recv"], "book.ts_recv"),
    state: oneOf(book["state"], "book.state", BOOK_STATES),
    crossed: flag(book["crossed"], "book.crossed"),
    locked: flag(book["locked"], "book.locked"),
    bids: levels("bids"),
    asks: levels("asks"),
    orders: number(book["orders"], "book.orders"),
    levelsMax,
  };
}

export function parseInstruments(value: unknown): Instrument[] {
  const instruments = list(fields(value, "answer")["instruments"], "instruments");
  return instruments.map((entry, index) => {
    const where = `instruments[${index}]`;
    const instrument = fields(entry, where);
    return {
      symbol: nullable(instrument["symbol"], `${where}.symbol`, text),
      instrumentId: number(instrument["instrument_id"], `${where}.instrument_id`),
      publisherId: number(instrument["publisher_id"], `${where}.publisher_id`),
      state: oneOf(instrument["state"], `${where}.state`, BOOK_STATES),
      seq: number(instrument["seq"], `${where}.seq`),
      orders: number(instrument["orders"], `${where}.orders`),
    };
  });
}

function parseLatency(value: unknown, where: string): Latency {
  const latency = fields(value, where);
  const count = number(latency["count"], `${where}.count`);
  // Percentiles of nothing are no numbers, whatever the server writes there.
  const percentile = (name: string): number | null =>
    count === 0 ? null : nullable(latency[name], `${where}.${name}`, number);
  return { count, p50Ns: percentile("p50_ns"), p90Ns: percentile("p90_ns"), p99Ns: percentile("p99_ns") };
}

function parseRecording(value: unknown): RecordingHealth {
  const history = fields(value, "metrics.history");
  const recorder = nullable(history["recorder"], "metrics.history.recorder", fields);
  const indexing = nullable(history["indexing"], "metrics.history.indexing", fields);
  return {
    state: text(history["state"], "metrics.history.state"),
    warning: nullable(history["warning"], "metrics.history.warning", text),
    recordsLost: nullable(recorder?.["records_lost"], "metrics.history.recorder.records_lost", number),
    tablesLagS: nullable(indexing?.["lag_s"], "metrics.history.indexing.lag_s", number),
  };
}

function parseSockets(value: unknown): SocketCounts {
  const sockets = fields(value, "metrics.websocket");
  const count = (name: string): number => number(sockets[name], `metrics.websocket.${name}`);
  return {
    open: count("sockets"),
    subscriptions: count("subscriptions"),
    sent: count("sent"),
    bytes: count("bytes"),
    conflated: count("conflated"),
    gaps: count("gaps"),
  };
}

export function parseMetrics(value: unknown): Metrics {
  const metrics = fields(value, "metrics");
  const source = fields(metrics["source"], "metrics.source");
  const eventLoop = fields(metrics["event_loop"], "metrics.event_loop");
  const throughput = fields(metrics["throughput"], "metrics.throughput");
  const totals = fields(metrics["totals"], "metrics.totals");
  const latency = fields(metrics["latency"], "metrics.latency");
  const counters = Object.entries(fields(metrics["counters"], "metrics.counters"));
  return {
    version: text(metrics["version"], "metrics.version"),
    source: {
      uri: text(source["uri"], "metrics.source.uri"),
      state: oneOf(source["state"], "metrics.source.state", SOURCE_STATES),
      error: nullable(source["error"], "metrics.source.error", text),
    },
    lagNs: nullable(source["lag_ns"], "metrics.source.lag_ns", number),
    reconnects: nullable(source["reconnects"], "metrics.source.reconnects", number),
    recording: parseRecording(metrics["history"]),
    eventLoop: {
      p50Ms: number(eventLoop["lag_p50_ms"], "metrics.event_loop.lag_p50_ms"),
      p99Ms: number(eventLoop["lag_p99_ms"], "metrics.event_loop.lag_p99_ms"),
      maxMs: number(eventLoop["lag_max_ms"], "metrics.event_loop.lag_max_ms"),
    },
    sockets: parseSockets(metrics["websocket"]),
    uptimeS: number(metrics["uptime_s"], "metrics.uptime_s"),
    messagesPerS: number(throughput["messages_per_s"], "metrics.throughput.messages_per_s"),
    eventsPerS: number(throughput["events_per_s"], "metrics.throughput.events_per_s"),
    bytesPerS: number(throughput["bytes_per_s"], "metrics.throughput.bytes_per_s"),
    totalMessages: number(totals["messages"], "metrics.totals.messages"),
    totalEvents: number(totals["events"], "metrics.totals.events"),
    apply: parseLatency(latency["apply"], "metrics.latency.apply"),
    snapshot: parseLatency(latency["snapshot"], "metrics.latency.snapshot"),
    feed: parseLatency(latency["feed"], "metrics.latency.feed"),
    // Nested counters are for programs; the page lists the plain ones.
    counters: counters.filter((entry): entry is [string, number] => typeof entry[1] === "number"),
    books: number(metrics["books"], "metrics.books"),
    orders: number(metrics["orders"], "metrics.orders"),
  };
}

/** The ticket of POST /v1/tickets. */
export function parseTicket(value: unknown): string {
  return text(fields(value, "ticket")["ticket"], "ticket.ticket");
}

/**
 * A choice of a 409 is a key as a string, a [publisher_id, instrument_id] pair, or an object that names both.
 * Anything else is left out, so that the problem itself still reaches the reader.
 */
function parseChoice(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  const pair: unknown[] = Array.isArray(value)
    ? value
    : [(value as Fields)["publisher_id"], (value as Fields)["instrument_id"]];
  return pair.length === 2 && pair.every(Number.isInteger) ? [pair.join(":")] : [];
}

/** Reads a problem leniently: an error about an error would hide the first. */
export function parseProblem(status: number, value: unknown): Problem {
  const problem: Fields = typeof value === "object" && value !== null ? (value as Fields) : {};
  const field = (name: string): string => {
    const found = problem[name];
    return typeof found === "string" ? found : "";
  };
  const choices = problem["choices"];
  return {
    status,
    title: field("title") || `HTTP ${status}`,
    detail: field("detail"),
    code: field("code"),
    traceId: field("trace_id"),
    choices: Array.isArray(choices) ? choices.flatMap(parseChoice) : [],
  };
}

/** The form of {instrument} that is never ambiguous. */
export function keyOf(instrument: { readonly publisherId: number; readonly instrumentId: number }): string {
  return `${instrument.publisherId}:${instrument.instrumentId}`;
}
