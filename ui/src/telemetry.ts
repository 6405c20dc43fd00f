/** One row of numbers for each answer of /v1/metrics: what the performance page draws, collected from the page's start. */

import { parseDecimal, toAxis } from "./decimal";
import type { Book, Metrics } from "./feed/wire";
import type { PageNumbers } from "./page-meter";
import { TimeRows, type Columns, type Fold, type Value } from "./time-rows";

/** What is measured, and how the samples of a minute become one. */
const FOLDS = {
  messagesPerS: "mean",
  eventsPerS: "mean",
  bytesPerS: "mean",
  applyP50Ns: "mean",
  applyP90Ns: "mean",
  applyP99Ns: "max",
  snapshotP50Ns: "mean",
  snapshotP90Ns: "mean",
  snapshotP99Ns: "max",
  chunkP50Ns: "mean",
  chunkP99Ns: "max",
  sourceLagMs: "max",
  loopP50Ms: "mean",
  loopP99Ms: "max",
  tablesLagS: "max",
  bidLevels: "mean",
  askLevels: "mean",
  orders: "mean",
  spread: "mean",
  clients: "max",
  subscriptions: "max",
  sentPerS: "mean",
  sentBytesPerS: "mean",
  conflatedPerS: "max",
  framesPerS: "mean",
  updatesPerS: "mean",
  longTasks: "max",
  longTaskMaxMs: "max",
  paintMeanMs: "mean",
  paintMaxMs: "max",
} as const satisfies Record<string, Fold>;

export type Column = keyof typeof FOLDS;
const COLUMNS = Object.keys(FOLDS) as Column[];

export class Telemetry {
  readonly #rows = new TimeRows(COLUMNS.map((column) => FOLDS[column]));
  #before: { readonly atMs: number; readonly metrics: Metrics } | null = null;
  /** Rises with every row. */
  revision = 0;

  /** `atMs`: UNIX time. */
  take(atMs: number, metrics: Metrics, book: Book | null, page: PageNumbers): void {
    const row: Record<Column, Value> = { ...ofServer(metrics), ...this.#ofSockets(atMs, metrics), ...ofBook(book), ...page };
    this.#before = { atMs, metrics };
    this.#rows.push(atMs, COLUMNS.map((column) => row[column]));
    this.revision += 1;
  }

  columns(sinceMs: number, wanted: readonly Column[]): Columns {
    return this.#rows.columns(sinceMs, wanted.map((column) => COLUMNS.indexOf(column)));
  }

  /** Counters are told since the server's start; what the last second was is their difference. */
  #ofSockets(atMs: number, metrics: Metrics): Pick<Record<Column, Value>, "sentPerS" | "sentBytesPerS" | "conflatedPerS"> {
    const before = this.#before;
    const seconds = before === null ? 0 : (atMs - before.atMs) / 1000;
    const rate = (count: (metrics: Metrics) => number): Value => {
      const more = before === null ? -1 : count(metrics) - count(before.metrics);
      // A server that was started again counts from nothing.
      return seconds > 0 && more >= 0 ? more / seconds : null;
    };
    return {
      sentPerS: rate(({ sockets }) => sockets.sent),
      sentBytesPerS: rate(({ sockets }) => sockets.bytes),
      conflatedPerS: rate(({ sockets }) => sockets.conflated),
    };
  }
}

function ofServer(metrics: Metrics) {
  const { apply, snapshot, feed, eventLoop, recording, sockets } = metrics;
  return {
    messagesPerS: metrics.messagesPerS,
    eventsPerS: metrics.eventsPerS,
    bytesPerS: metrics.bytesPerS,
    applyP50Ns: apply.p50Ns,
    applyP90Ns: apply.p90Ns,
    applyP99Ns: apply.p99Ns,
    snapshotP50Ns: snapshot.p50Ns,
    snapshotP90Ns: snapshot.p90Ns,
    snapshotP99Ns: snapshot.p99Ns,
    chunkP50Ns: feed.p50Ns,
    chunkP99Ns: feed.p99Ns,
    sourceLagMs: metrics.lagNs === null ? null : metrics.lagNs / 1e6,
    loopP50Ms: eventLoop.p50Ms,
    loopP99Ms: eventLoop.p99Ms,
    tablesLagS: recording.tablesLagS,
    clients: sockets.open,
    subscriptions: sockets.subscriptions,
  };
}

function ofBook(book: Book | null) {
  const [bid, ask] = [book?.bids[0], book?.asks[0]];
  const spread = bid === undefined || ask === undefined ? null : toAxis(parseDecimal(ask.price) - parseDecimal(bid.price));
  return {
    bidLevels: book?.bids.length ?? null,
    askLevels: book?.asks.length ?? null,
    orders: book?.orders ?? null,
    spread,
  };
}
