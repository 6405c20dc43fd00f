/**
 * Which prices a static ladder shows. They stay where they are: only when the market's middle has left the band around the
 * centre do the rows follow, a few at a time, until it is in the centre again; so a market that swings about the edge of
 * the band does not drag the prices to and fro. Who scrolls looks elsewhere, and is not called back until they ask for it.
 */

import { floorSteps } from "../decimal";

/** The share of the rows, above and below the centre, within which the market moves freely. */
export const BAND_SHARE = 0.27;
/** Each step of following goes this share of the way. */
const STEP_SHARE = 0.34;

export class LadderView {
  /** The price of one row, in units of 1e-9; 0 until it is known. */
  #step = 0n;
  /** Of the first row, in steps; the rows below it have one less each. */
  #top = 0n;
  #rows = 0;
  /** Whether there has been anything to centre on. */
  #placed = false;
  #moving = false;
  following = true;

  get step(): bigint {
    return this.#step;
  }

  get top(): bigint {
    return this.#top;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Whether the rows are on their way to the market. */
  get moving(): boolean {
    return this.#moving;
  }

  /** How many levels of a side, each at a price of its own, the rows come to before they follow the market; all, elsewhere. */
  levelsInReach(ticksInARow: number): number {
    return this.following ? Math.ceil(this.#rows * (0.5 + BAND_SHARE)) * ticksInARow : Infinity;
  }

  /** Other rows; what was in the middle stays there. */
  setRows(rows: number): void {
    const middle = this.#top - BigInt(half(this.#rows));
    this.#rows = rows;
    this.#top = middle + BigInt(half(rows));
  }

  setStep(step: bigint): void {
    if (step === this.#step) return;
    const middle = (this.#top - BigInt(half(this.#rows))) * this.#step;
    this.#step = step;
    this.#top = (step === 0n ? 0n : floorSteps(middle, step)) + BigInt(half(this.#rows));
  }

  /** Another instrument: its prices are elsewhere. */
  reset(): void {
    this.#placed = false;
    this.#moving = false;
    this.following = true;
  }

  /** The next write brings the market to the centre. */
  centre(): void {
    this.following = true;
    this.#moving = true;
  }

  /**
   * Moves towards the market where it must; `units`: its middle, `within`: the lowest and the highest row that are to be
   * in view with it. `held`: somebody is at work on a row.
   */
  follow(units: bigint | null, { held, atOnce, within }: { held: boolean; atOnce: boolean; within?: readonly [bigint, bigint] }): void {
    if (units === null || this.#step === 0n || this.#rows === 0) return;
    const target = floorSteps(units, this.#step) + BigInt(half(this.#rows));
    const distance = Number(target - this.#top);
    if (!this.#placed) {
      this.#placed = true;
      this.#top = target;
      this.#moving = false;
      return;
    }
    if (!this.following || (held && !this.#moving)) return;
    const isCut = within !== undefined && (within[1] > this.#top || within[0] <= this.#top - BigInt(this.#rows));
    if (isCut || Math.abs(distance) > this.#rows * BAND_SHARE) this.#moving = true;
    if (!this.#moving) return;
    const isFar = Math.abs(distance) > this.#rows;
    const rows = atOnce || isFar ? distance : Math.sign(distance) * Math.ceil(Math.abs(distance) * STEP_SHARE);
    this.#top += BigInt(rows);
    this.#moving = rows !== distance;
  }

  /** By rows, upward where positive, but not beyond the prices known; whether anything moved. */
  scroll(rows: number, lowest: bigint | null, highest: bigint | null): boolean {
    if (lowest === null || highest === null || this.#step === 0n) return false;
    const middle = BigInt(half(this.#rows));
    const [least, most] = [floorSteps(lowest, this.#step) + middle, floorSteps(highest, this.#step) + middle];
    const wanted = this.#top + BigInt(rows);
    // Who stands outside already, as the market has moved, may come back in any number of steps.
    const [from, to] = [least < this.#top ? least : this.#top, most > this.#top ? most : this.#top];
    const next = wanted < from ? from : wanted > to ? to : wanted;
    if (next === this.#top) return false;
    this.following = false;
    this.#moving = false;
    this.#top = next;
    return true;
  }
}

function half(rows: number): number {
  return Math.floor((rows - 1) / 2);
}
