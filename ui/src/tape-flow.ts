/** What was bought and sold in the last minute of the market's time: sixty buckets of a second, so nothing grows. */

import type { Trade } from "./feed/feed";

export const FLOW_SECONDS = 60;
const NS_PER_S = 1_000_000_000n;

export interface Flowed {
  readonly bought: number;
  readonly sold: number;
  /** With trades whose side is not told. */
  readonly volume: number;
  readonly trades: number;
}

interface Bucket {
  second: number;
  bought: number;
  sold: number;
  other: number;
  trades: number;
}

export class MinuteFlow {
  readonly #buckets: Bucket[] = Array.from({ length: FLOW_SECONDS }, () => emptyBucket());
  #newest = -Infinity;

  take(trades: readonly Trade[]): void {
    for (const trade of trades) {
      const second = secondOf(trade.tsRecv);
      this.#newest = Math.max(this.#newest, second);
      if (second <= this.#newest - FLOW_SECONDS) continue;
      const index = second % FLOW_SECONDS;
      let bucket = this.#buckets[index];
      if (bucket?.second !== second) bucket = this.#buckets[index] = { ...emptyBucket(), second };
      bucket[trade.side === "B" ? "bought" : trade.side === "A" ? "sold" : "other"] += trade.size;
      bucket.trades += 1;
    }
  }

  /** In the minute up to this time of the market, in ns; the second that runs counts as one of the sixty. */
  upTo(ts: string): Flowed {
    const second = Math.max(secondOf(ts), this.#newest);
    const sum = { bought: 0, sold: 0, volume: 0, trades: 0 };
    for (const bucket of this.#buckets) {
      if (bucket.second <= second - FLOW_SECONDS) continue;
      sum.bought += bucket.bought;
      sum.sold += bucket.sold;
      sum.volume += bucket.bought + bucket.sold + bucket.other;
      sum.trades += bucket.trades;
    }
    return sum;
  }

  /** When the minute up to this time begins, in ns. */
  startOf(ts: string): bigint {
    return BigInt(secondOf(ts) - FLOW_SECONDS + 1) * NS_PER_S;
  }

  clear(): void {
    this.#buckets.fill(emptyBucket());
    this.#newest = -Infinity;
  }
}

function secondOf(ns: string): number {
  return Number(BigInt(ns) / NS_PER_S);
}

function emptyBucket(): Bucket {
  return { second: -Infinity, bought: 0, sold: 0, other: 0, trades: 0 };
}
