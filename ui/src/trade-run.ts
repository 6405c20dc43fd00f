/** Trades as one run without doubles: a snapshot of the channel repeats up to 50 that have been told before. */

import type { Trade } from "./feed/feed";

export interface Continuation {
  /** Those not told before, oldest first. */
  readonly fresh: readonly Trade[];
  /** False where trades between the known and the fresh ones may be missing. */
  readonly isWhole: boolean;
}

/** What a snapshot adds to the trades known, both oldest first: the known ones end as the snapshot begins, at some length. */
export function continueRun(known: readonly Trade[], snapshot: readonly Trade[]): Continuation {
  for (let length = Math.min(known.length, snapshot.length); length > 0; length -= 1) {
    const offset = known.length - length;
    if (snapshot.slice(0, length).every((trade, index) => isSame(trade, known[offset + index]))) {
      return { fresh: snapshot.slice(length), isWhole: true };
    }
  }
  return { fresh: snapshot, isWhole: known.length === 0 || snapshot.length === 0 };
}

function isSame(a: Trade, b: Trade | undefined): boolean {
  return (
    a.tsRecv === b?.tsRecv &&
    a.sequence === b.sequence &&
    a.orderId === b.orderId &&
    a.price === b.price &&
    a.size === b.size &&
    a.side === b.side
  );
}
