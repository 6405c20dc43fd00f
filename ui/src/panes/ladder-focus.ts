/**
 * What a static ladder is centred on. Where the rows hold both best prices it is the middle between them. Where they do
 * not, as in a wide or a far crossed book, the middle may be a price that nobody has named: then it is where the market
 * traded last, or else the best bid, and who asks once more is shown the next of these.
 */

import { ceilSteps, floorSteps, unitsOf } from "../decimal";
import type { Book } from "../feed/wire";

export type FocusOn = "middle" | "trade" | "bid" | "ask";

export interface Focus {
  readonly on: FocusOn;
  readonly units: bigint;
  /** What is to stay in view beside it: the lowest and the highest row, in steps. */
  readonly within: readonly [bigint, bigint];
}

export interface Best {
  readonly side: "bid" | "ask";
  readonly price: string;
  readonly row: bigint;
}

interface Rows {
  readonly step: bigint;
  readonly rows: number;
}

const FOCUS_WORDS: Readonly<Record<FocusOn, string>> = { middle: "market", trade: "last trade", bid: "best bid", ask: "best ask" };

/** Beside the best prices at least so many rows are in view; and so many, before both count as close again. */
const EDGE_ROWS = 2;
const CLOSE_AGAIN_ROWS = 6;

/** The best prices and their rows, the highest first. */
export function bestsOf(book: Pick<Book, "bids" | "asks"> | null, step: bigint): Best[] {
  const [bid, ask] = [book?.bids[0], book?.asks[0]];
  if (step === 0n) return [];
  const bests: Best[] = [];
  if (bid !== undefined) bests.push({ side: "bid", price: bid.price, row: floorSteps(unitsOf(bid.price), step) });
  if (ask !== undefined) bests.push({ side: "ask", price: ask.price, row: ceilSteps(unitsOf(ask.price), step) });
  return bests.sort((a, b) => (a.row > b.row ? -1 : a.row < b.row ? 1 : 0));
}

export class LadderFocus {
  #places: readonly Focus[] = [];
  #turn = 0;

  /** Null while there is nothing to centre on. `lastTrade`: its price, where one is known. */
  get current(): Focus | null {
    return this.#places[this.#turn] ?? null;
  }

  /** What the next turn leads to; null where there is but one place. */
  get next(): Focus | null {
    return this.#places.length < 2 ? null : (this.#places[(this.#turn + 1) % this.#places.length] ?? null);
  }

  take(book: Pick<Book, "bids" | "asks">, { step, rows }: Rows, lastTrade: string | null): void {
    const on = this.current?.on;
    this.#places = places(bestsOf(book, step), step, rows - (this.#places.length > 1 ? CLOSE_AGAIN_ROWS : EDGE_ROWS), lastTrade);
    this.#turn = Math.max(0, this.#places.findIndex((place) => place.on === on));
  }

  turn(): void {
    if (this.#places.length > 0) this.#turn = (this.#turn + 1) % this.#places.length;
  }

  /** Brings that side's best price into the centre, where it is one of the places. */
  lookAt(side: "bid" | "ask"): void {
    this.#turn = Math.max(0, this.#places.findIndex(({ on }) => on === side));
  }

  reset(): void {
    this.#places = [];
    this.#turn = 0;
  }
}

/** What the button says that brings the market to the centre, and its title. */
export function centreWords(current: Focus | null, next: Focus | null): readonly [text: string, title: string] {
  if (current === null || next === null) return ["Centre", "Centre the ladder (C)"];
  const [here, there] = [FOCUS_WORDS[current.on], FOCUS_WORDS[next.on]];
  return [`Centre: ${current.on}`, `The best prices are too far apart for these rows: in the centre is the ${here}, next the ${there} (C)`];
}

function places(bests: readonly Best[], step: bigint, rows: number, lastTrade: string | null): readonly Focus[] {
  const [high, low] = [bests[0], bests.at(-1)];
  if (high === undefined || low === undefined) return [];
  const units = ({ price }: Best): bigint => unitsOf(price);
  if (Number(high.row - low.row) + 1 <= rows) {
    return [{ on: "middle", units: (units(high) + units(low)) / 2n, within: [low.row, high.row] }];
  }
  const at = (on: FocusOn, price: string): Focus => {
    const row = floorSteps(unitsOf(price), step);
    return { on, units: unitsOf(price), within: [row, row] };
  };
  const sides = [...bests].sort((a, b) => (a.side === b.side ? 0 : a.side === "bid" ? -1 : 1));
  return [...(lastTrade === null ? [] : [at("trade", lastTrade)]), ...sides.map(({ side, price }) => at(side, price))];
}
