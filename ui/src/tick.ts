/**
 * The tick of an instrument, which no message tells: the greatest common divisor of all prices seen. It is first too
 * coarse, and becomes finer with every price that does not fit. A few prices that lie on no grid at all, such as one
 * mistyped far order, would make it so fine that a ladder had no end; then it is that of the others.
 */

import { decimalsOf, unitsOf } from "./decimal";
import type { Level } from "./feed/wire";

/** Distinct prices that are looked at; those seen first are forgotten first. */
const PRICES_MAX = 2_000;
/** A tick is believed where neighbouring prices lie no further apart than this many of them, in the median. */
const TICKS_BETWEEN_MAX = 500n;
/** Where it is not believed, one that so many prices fit is taken. */
const FITTING_SHARE_MIN = 0.8;
/** Until two prices are known. */
const DECIMALS_MIN = 2;

export class TickFinder {
  readonly #prices = new Set<bigint>();
  #tick = 0n;

  /** In units of 1e-9; 0 while no price is known. */
  get tick(): bigint {
    return this.#tick;
  }

  /** How many prices are remembered. */
  get known(): number {
    return this.#prices.size;
  }

  reset(): void {
    this.#prices.clear();
    this.#tick = 0n;
  }

  /** Looks at the prices of a book; whether the tick has changed. */
  take(bids: readonly Level[], asks: readonly Level[]): boolean {
    let misfit = this.#prices.size < 2;
    let decimals = DECIMALS_MIN;
    for (const side of [bids, asks]) {
      for (const { price } of side) {
        const units = unitsOf(price);
        if (this.#prices.has(units)) continue;
        this.#prices.add(units);
        decimals = Math.max(decimals, decimalsOf(price));
        misfit ||= this.#tick === 0n || units % this.#tick !== 0n;
      }
    }
    // Of a market that stays on its grid too, but not with each price of it.
    if (misfit || this.#prices.size > 2 * PRICES_MAX) this.#forget();
    if (!misfit || this.#prices.size === 0) return false;
    const tick = this.#prices.size === 1 ? 10n ** BigInt(9 - decimals) : tickOf([...this.#prices]);
    const changed = tick !== this.#tick;
    this.#tick = tick;
    return changed;
  }

  #forget(): void {
    for (const units of this.#prices) {
      if (this.#prices.size <= PRICES_MAX) break;
      this.#prices.delete(units);
    }
  }
}

/** The tick of distinct prices in units of 1e-9; 0 where they tell none. */
export function tickOf(prices: readonly bigint[]): bigint {
  const sorted = [...prices].sort(ascending);
  const tick = sorted.reduce(divisor, 0n);
  if (tick === 0n || medianGap(sorted) <= tick * TICKS_BETWEEN_MAX) return tick;
  const candidates = new Set(sorted.slice(1).map((units, index) => divisor(units, sorted[index] ?? 0n)));
  const fits = (candidate: bigint): boolean => {
    const fitting = sorted.filter((units) => units % candidate === 0n).length;
    return fitting >= sorted.length * FITTING_SHARE_MIN;
  };
  return [...candidates].sort(ascending).reverse().find(fits) ?? tick;
}

export function divisor(one: bigint, other: bigint): bigint {
  let [a, b] = [one < 0n ? -one : one, other < 0n ? -other : other];
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function medianGap(sorted: readonly bigint[]): bigint {
  const gaps = sorted.slice(1).map((units, index) => units - (sorted[index] ?? units));
  return gaps.sort(ascending)[gaps.length >> 1] ?? 0n;
}

function ascending(one: bigint, other: bigint): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
