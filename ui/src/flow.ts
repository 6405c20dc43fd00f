/**
 * What was done at each price: traded since the ladder was opened or reset, and pulled or stacked in the last seconds.
 *
 * A size that becomes smaller was traded or was taken away; the book does not say which, the trades do. So at each
 * price and side
 *
 *     net = what the size changed by + what was traded against it
 *
 * is what people did to the queue themselves: above zero they stacked, below zero they pulled. A buyer (side B) trades
 * against asks, a seller (A) against bids. An iceberg that shows its next part stacks it. Being a sum, the net is the same
 * whether a trade is told before the book it led to, or after.
 *
 * Only changes of levels that were in view before and after are counted: one that leaves the levels subscribed to, because
 * better ones came, was not pulled. Nothing is counted across a snapshot, for what happened meanwhile is not known.
 * Time is the market's (ts_recv), so that a replay at a hundred times the speed shows the same.
 */

import { unitsOf } from "./decimal";
import type { Book, Level } from "./feed/wire";

/** What is pulled and stacked is that of the last 30 seconds. */
export const FLOW_WINDOW_S = 30;
const NS_PER_S = 1_000_000_000n;

/** What of a trade the flow looks at. */
export interface Traded {
  readonly tsRecv: string;
  readonly price: string | null;
  readonly size: number;
  readonly side: "B" | "A" | "N";
}

/** What of a book. */
type Told = Pick<Book, "bids" | "asks" | "tsRecv" | "levelsMax">;

export interface PriceFlow {
  /** Size that buyers took from asks. */
  bought: number;
  /** Size that sellers took from bids. */
  sold: number;
  /** Traded where neither the venue nor the book tells who came. */
  unknown: number;
}

/** The sum of the changes of the last seconds at each price. */
class Recent {
  readonly sums = new Map<bigint, number>();
  /** The changes of each second, oldest first. */
  #seconds: { readonly at: number; readonly changes: Map<bigint, number> }[] = [];

  add(units: bigint, change: number, second: number): void {
    this.#put(this.sums, units, change);
    let slice = this.#seconds.at(-1);
    // What comes a little late is counted with the newest second.
    if (slice === undefined || slice.at < second) {
      slice = { at: second, changes: new Map() };
      this.#seconds.push(slice);
    }
    this.#put(slice.changes, units, change);
  }

  expire(second: number): void {
    while (this.#seconds[0] !== undefined && this.#seconds[0].at <= second - FLOW_WINDOW_S) {
      for (const [units, change] of this.#seconds[0].changes) this.#put(this.sums, units, -change);
      this.#seconds.shift();
    }
  }

  clear(): void {
    this.sums.clear();
    this.#seconds = [];
  }

  #put(sums: Map<bigint, number>, units: bigint, change: number): void {
    const sum = (sums.get(units) ?? 0) + change;
    if (sum === 0) sums.delete(units);
    else sums.set(units, sum);
  }
}

export class Flow {
  readonly traded = new Map<bigint, PriceFlow>();
  readonly #bids = new Recent();
  readonly #asks = new Recent();
  #book: Told | null = null;
  #since: string | null = null;
  /** Of the first book, ns: what was traded until then is not counted. */
  #openedNs: bigint | null = null;
  /** Of the newest snapshot, whose levels what was traded until then has already led to. */
  #baselineNs = 0n;
  #newestTradeNs = 0n;
  /** The reader has begun to count anew since the first book. */
  #isCleared = false;
  #second = 0;

  /** Net size by price, in units of 1e-9. */
  get bidNets(): ReadonlyMap<bigint, number> {
    return this.#bids.sums;
  }

  get askNets(): ReadonlyMap<bigint, number> {
    return this.#asks.sums;
  }

  /** The market's time from which on trades are counted, ns; null before the first book. */
  get since(): string | null {
    return this.#since;
  }

  /** Begins to count anew, from the book as it is. */
  clear(): void {
    this.#isCleared = true;
    this.#since = this.#book?.tsRecv ?? null;
    this.traded.clear();
    this.#bids.clear();
    this.#asks.clear();
  }

  /** Another book, or another time of it. */
  forget(): void {
    this.#book = null;
    this.clear();
    this.#isCleared = false;
    this.#openedNs = null;
    this.#baselineNs = this.#newestTradeNs = 0n;
    this.#second = 0;
  }

  takeDepth(book: Told, isSnapshot: boolean): void {
    const before = this.#book;
    const atNs = BigInt(book.tsRecv);
    this.#openedNs ??= atNs;
    this.#since ??= book.tsRecv;
    this.#book = book;
    this.#tick(atNs);
    if (before === null || isSnapshot) {
      this.#baselineNs = atNs;
      return;
    }
    const { levelsMax } = book;
    this.#compare(before.bids, book.bids, levelsMax, -1n, this.#bids);
    this.#compare(before.asks, book.asks, levelsMax, 1n, this.#asks);
  }

  /** Of a snapshot, only what came after all that is counted: it begins with trades from before. */
  takeTrades(trades: readonly Traded[], isSnapshot: boolean): void {
    const knownNs = this.#newestTradeNs;
    for (const trade of trades) {
      const atNs = BigInt(trade.tsRecv);
      if (this.#openedNs === null || atNs <= this.#openedNs || (isSnapshot && atNs <= knownNs)) continue;
      if (atNs > this.#newestTradeNs) this.#newestTradeNs = atNs;
      this.#tick(atNs);
      if (trade.price !== null) this.#trade(unitsOf(trade.price), trade, atNs > this.#baselineNs);
    }
  }

  /**
   * Trades from before the first book, told once: traded then, and explaining no change of a level. The quotes of then
   * are not known, to ask them who came.
   */
  takeTradesBefore(trades: readonly Traded[], sinceNs: bigint): void {
    if (this.#isCleared) return;
    this.#since = String(sinceNs);
    for (const { price, size, side } of trades) {
      if (price !== null) this.#flowAt(unitsOf(price))[side === "B" ? "bought" : side === "A" ? "sold" : "unknown"] += size;
    }
  }

  /** The market's time has come to here, though nothing may have happened: what was done too long before is over. */
  expire(ns: bigint): void {
    const second = Number(ns / NS_PER_S);
    this.#bids.expire(second);
    this.#asks.expire(second);
  }

  #flowAt(units: bigint): PriceFlow {
    let flow = this.traded.get(units);
    if (flow === undefined) {
      flow = { bought: 0, sold: 0, unknown: 0 };
      this.traded.set(units, flow);
    }
    return flow;
  }

  #trade(units: bigint, { side, size }: Traded, isNetted: boolean): void {
    const flow = this.#flowAt(units);
    const taker = side === "N" ? this.#takerAt(units) : side;
    if (taker === "B") {
      flow.bought += size;
      if (isNetted) this.#asks.add(units, size, this.#second);
    } else if (taker === "A") {
      flow.sold += size;
      if (isNetted) this.#bids.add(units, size, this.#second);
    } else flow.unknown += size;
  }

  /** Where the venue does not say who came: who could trade at this price with the best quotes of the book. */
  #takerAt(units: bigint): "B" | "A" | null {
    const [bid, ask] = [this.#book?.bids[0], this.#book?.asks[0]];
    if (ask !== undefined && units >= unitsOf(ask.price)) return "B";
    return bid !== undefined && units <= unitsOf(bid.price) ? "A" : null;
  }

  #tick(ns: bigint): void {
    const second = Number(ns / NS_PER_S);
    if (second <= this.#second) return;
    this.#second = second;
    this.expire(ns);
  }

  /** Walks both sides from the best price outward. */
  #compare(before: readonly Level[], after: readonly Level[], levelsMax: number, sign: bigint, net: Recent): void {
    const rank = (level: Level): bigint => unitsOf(level.price) * sign;
    const edge = (levels: readonly Level[]): bigint | null => {
      const last = levels.at(-1);
      return last === undefined || levels.length < levelsMax ? null : rank(last);
    };
    const [edgeBefore, edgeAfter] = [edge(before), edge(after)];
    let [i, j] = [0, 0];
    while (i < before.length || j < after.length) {
      const [old, now] = [before[i], after[j]];
      if (old === now) {
        i += 1;
        j += 1;
        continue;
      }
      const oldRank = old === undefined ? null : rank(old);
      const nowRank = now === undefined ? null : rank(now);
      if (oldRank !== null && (nowRank === null || oldRank < nowRank)) {
        i += 1;
        if (edgeAfter === null || oldRank <= edgeAfter) net.add(oldRank * sign, -(old?.size ?? 0), this.#second);
      } else if (nowRank !== null && (oldRank === null || nowRank < oldRank)) {
        j += 1;
        if (edgeBefore === null || nowRank <= edgeBefore) net.add(nowRank * sign, now?.size ?? 0, this.#second);
      } else {
        i += 1;
        j += 1;
        const change = (now?.size ?? 0) - (old?.size ?? 0);
        if (change !== 0 && nowRank !== null) net.add(nowRank * sign, change, this.#second);
      }
    }
  }
}
