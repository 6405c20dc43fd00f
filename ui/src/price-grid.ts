/** Prices as whole numbers of ticks. The tick is what all prices seen are multiples of: no venue tells it to the page. */

import { decimalsOf, formatDecimal, parseDecimal } from "./decimal";

/** More prices than any screen of levels; then they are parsed once more. */
const REMEMBERED_MAX = 20_000;

export class PriceGrid {
  /** In units of 1e-9; 0 until a price is known. */
  tick = 0n;
  /** The most decimals of any price seen. */
  decimals = 0;
  readonly #indices = new Map<string, number>();
  readonly #onFiner: (factor: number) => void;

  /** `onFiner` is told how many of the new ticks are one of those before: what was kept in ticks is to be multiplied. */
  constructor(onFiner: (factor: number) => void) {
    this.#onFiner = onFiner;
  }

  /** Makes the tick fit these prices, all at once so that a first book does not refine it price by price. */
  learn(prices: Iterable<string>): void {
    let tick = this.tick;
    for (const price of prices) {
      if (this.#indices.has(price)) continue;
      tick = commonDivisor(tick, parseDecimal(price));
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

  price(index: number): string {
    return formatDecimal(BigInt(index) * this.tick, this.decimals);
  }

  clear(): void {
    this.tick = 0n;
    this.decimals = 0;
    this.#indices.clear();
  }
}

function commonDivisor(a: bigint, b: bigint): bigint {
  let [large, small] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (small !== 0n) [large, small] = [small, large % small];
  return large;
}
