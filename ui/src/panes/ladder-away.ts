/** The signs at the edges of a static ladder: which best price is beyond them, and the way there. */

import { setData, setHidden, setText } from "../dom";
import { withMinus } from "../format";
import type { Best } from "./ladder-focus";
import type { LadderFrame } from "./ladder-frame";

export interface RowsInView {
  /** Of the first row, in steps. */
  readonly top: bigint;
  readonly rows: number;
}

export interface Away {
  readonly side: Best["side"];
  readonly text: string;
}

/** What is beyond each edge; `bests` are the highest first. */
export function awayFrom(bests: readonly Best[], { top, rows }: RowsInView): { readonly above: Away | null; readonly below: Away | null } {
  const words = (arrow: string, beyond: readonly Best[], nearest: Best | undefined): Away | null => {
    if (nearest === undefined) return null;
    const what = beyond.length === bests.length ? "market at" : `best ${nearest.side}`;
    return { side: nearest.side, text: `${arrow} ${what} ${withMinus(nearest.price)}` };
  };
  const above = bests.filter(({ row }) => row > top);
  const below = bests.filter(({ row }) => row <= top - BigInt(rows));
  return { above: words("▲", above, above.at(-1)), below: words("▼", below, below[0]) };
}

export class LadderAway {
  readonly #edges: readonly (readonly [where: "above" | "below", button: HTMLButtonElement])[];

  constructor({ above, below }: Pick<LadderFrame, "above" | "below">, goTo: (side: Best["side"]) => void) {
    this.#edges = [["above", above], ["below", below]];
    for (const [, button] of this.#edges) {
      button.addEventListener("click", () => {
        goTo(button.dataset["side"] === "ask" ? "ask" : "bid");
      });
    }
  }

  write(bests: readonly Best[], view: RowsInView): void {
    const away = awayFrom(bests, view);
    for (const [where, button] of this.#edges) {
      const sign = away[where];
      setHidden(button, sign === null);
      if (sign === null) continue;
      setText(button, sign.text);
      setData(button, "side", sign.side);
    }
  }
}
