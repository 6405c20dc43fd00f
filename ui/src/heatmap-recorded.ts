/**
 * What was recorded before the heatmap began to look, as columns by the second: the book at the beginning of a stretch,
 * and what its levels became in each second after that (`/history/levels`). What flashed up within one is not in there.
 */

import { Half } from "./client/mirror";
import { unitsOf } from "./decimal";
import { fields, list, number, oneOf, price, text } from "./feed/fields";
import type { Book, Level } from "./feed/wire";

export const NS_PER_S = 1_000_000_000n;
/** Of the book at the beginning; some more than are shown, for the market moves. */
export const RECORDED_LEVELS = 200;

/** A stretch of recorded time, in whole seconds since 1970, from and before, told every so many seconds. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly stepS: number;
}

/** How a level stood at the end of the step that begins at `second`. */
export interface LevelRow {
  readonly second: number;
  readonly side: "B" | "A";
  readonly price: string;
  readonly size: number;
}

export interface Step {
  /** Seconds since 1970. */
  readonly from: number;
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

/** Null: there is more than one answer holds, and so not all of it. */
export function parseLevelRows(value: unknown): LevelRow[] | null {
  const answer = fields(value, "answer");
  if (answer["next_cursor"] !== undefined) return null;
  return list(answer["levels"], "levels").map((entry, index) => {
    const where = `levels[${index}]`;
    const row = fields(entry, where);
    return {
      second: Number(BigInt(text(row["ts"], `${where}.ts`)) / NS_PER_S),
      side: oneOf(row["side"], `${where}.side`, ["B", "A"]),
      price: price(row["price"], `${where}.price`),
      size: number(row["size"], `${where}.size`),
    };
  });
}

/** Beyond the last level of a book that was cut off nothing is known, and what is told of there stands for nothing. */
class Side {
  readonly #half: Half;
  readonly #sign: bigint;
  readonly #edge: bigint | null;

  constructor(sign: bigint, levels: readonly Level[]) {
    this.#sign = sign;
    this.#half = new Half(sign);
    for (const level of levels) this.#half.put(level);
    const last = levels[RECORDED_LEVELS - 1];
    this.#edge = last === undefined ? null : unitsOf(last.price) * sign;
  }

  get levels(): readonly Level[] {
    return [...this.#half.levels];
  }

  take({ price, size }: LevelRow): void {
    if (this.#edge !== null && unitsOf(price) * this.#sign > this.#edge) return;
    this.#half.put({ price, size, count: 0, queue: [] });
  }
}

/** The book at the end of each step, oldest first; `base` is that of the beginning, null where there was none yet. */
export function stepsOf(base: Pick<Book, "bids" | "asks"> | null, rows: readonly LevelRow[], { from, to, stepS }: Stretch): Step[] {
  const [bids, asks] = [new Side(-1n, base?.bids ?? []), new Side(1n, base?.asks ?? [])];
  const steps: Step[] = [];
  let at = 0;
  for (let second = from; second < to; second += stepS) {
    for (; at < rows.length; at += 1) {
      const row = rows[at];
      if (row === undefined || row.second >= second + stepS) break;
      (row.side === "B" ? bids : asks).take(row);
    }
    // Nobody knows of a book before the first word of it.
    if (base !== null || at > 0) steps.push({ from: second, bids: bids.levels, asks: asks.levels });
  }
  return steps;
}
