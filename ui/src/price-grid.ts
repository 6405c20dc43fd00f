/** Prices as whole numbers of ticks. The tick is what all prices seen are multiples of: no venue tells it to the page. */

import { decimalsOf, formatDecimal, parseDecimal } from "./decimal";
import { withMinus } from "./format";
import { divisor, tickOf } from "./tick";

/** More prices than any screen of levels; then they are parsed once more. */
const REMEMBERED_MAX = 20_000;

/** Indices are kept in 32 bits. */
export const INDEX_MAX = 2 ** 31 - 1;

export class PriceGrid {
  /** In units of 1e-9; 0 until a price is known. */
  tick = 0n;
  /** The most decimals of any price seen. */
  decimals = 0;
  /** Of the prices that the tick fits, in units and without sign. */
  #largest = 0n;
  readonly #indices = new Map<string, number>();
  readonly #onFiner: (factor: number) => void;

  /** `onFiner` is told how many of the new ticks are one of those before: what was kept in ticks is to be multiplied. */
  constructor(onFiner: (factor: number) => void) {
    this.#onFiner = onFiner;
  }

  /**
   * Makes the tick fit these prices, all at once so that a first book does not refine it price by price. One that lies on no grid, such as
   * that of a mistyped order, is not fitted: the tick would be so fine that no index of the others could be kept. It counts as the tick below.
   */
  learn(prices: Iterable<string>): void {
    const fresh = new Map<string, bigint>();
    for (const price of prices) if (!this.#indices.has(price)) fresh.set(price, parseDecimal(price));
    if (fresh.size === 0) return;
    let tick = this.tick === 0n ? tickOf([...new Set(fresh.values())]) : this.tick;
    for (const [price, units] of fresh) {
      const finer = divisor(tick, units);
      const largest = larger(this.#largest, units < 0n ? -units : units);
      if (finer !== 0n && largest / finer > BigInt(INDEX_MAX)) continue;
      tick = finer;
      this.#largest = largest;
      this.decimals = Math.max(this.decimals, decimalsOf(price));
    }
    if (tick === this.tick) return;
    const factor = this.tick === 0n ? 1 : Number(this.tick / tick);
    this.tick = tick;
    this.#indices.clear();
    if (factor !== 1) this.#onFiner(factor);
  }

  /** Ticks from price 0; the price must have been learnt. */
  index(price: string): number {
    const known = this.#indices.get(price);
    if (known !== undefined) return known;
    if (this.#indices.size >= REMEMBERED_MAX) this.#indices.clear();
    const index = this.tick === 0n ? 0 : Number(parseDecimal(price) / this.tick);
    this.#indices.set(price, index);
    return index;
  }

  /** To be read. */
  price(index: number): string {
    return withMinus(formatDecimal(BigInt(index) * this.tick, this.decimals));
  }

  clear(): void {
    this.tick = 0n;
    this.decimals = 0;
    this.#largest = 0n;
    this.#indices.clear();
  }
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
