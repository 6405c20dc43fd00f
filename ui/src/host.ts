/** Makes the panes, gives each its place in the frame loop, and hands on to them what the page is told. */

import { byTestId, setHidden } from "./dom";
import type { Trade } from "./feed/feed";
import type { Book } from "./feed/wire";
import type { Slot } from "./loop";
import type { Pane, PaneClass, PaneContext, PaneName } from "./pane";
import type { Palette } from "./panes/canvas";
import type { TradesBefore } from "./trades-before";

export class PaneHost {
  readonly #panes: Pane[] = [];
  readonly #context: Omit<PaneContext, "root" | "repaint" | "onPointer">;
  readonly #palette: () => Palette;
  #before: TradesBefore | null = null;

  constructor(context: Omit<PaneContext, "root" | "repaint" | "onPointer">, palette: () => Palette) {
    this.#context = context;
    this.#palette = palette;
  }

  add(name: PaneName, make: PaneClass, slot: Slot): void {
    const root = byTestId(`${name}-pane`, HTMLElement);
    const { state } = this.#context;
    const repaint = (): void => {
      slot.atOnce();
    };
    const onPointer = (): void => {
      slot.pointerMoved();
    };
    const pane = new make({ root, repaint, onPointer, ...this.#context });
    setHidden(root, false);
    this.#panes.push(pane);
    // What was told before it was there.
    const { depth, trades } = state;
    if (depth !== null) pane.takeDepth?.(depth, true);
    if (trades.length > 0) pane.takeTrades?.(trades, true);
    if (this.#before !== null) pane.takeTradesBefore?.(this.#before);
    slot.isMoving ||= pane.isMoving === true;
    slot.add({
      write: (nowMs) => {
        attempt(() => pane.write?.(state, nowMs));
      },
      paint: (nowMs) => {
        attempt(() => pane.paint?.(this.#palette(), nowMs));
      },
    });
  }

  takeDepth(book: Book, isSnapshot: boolean): void {
    this.#each((pane) => pane.takeDepth?.(book, isSnapshot));
  }

  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    this.#each((pane) => pane.takeTrades?.(trades, isSnapshot));
  }

  takeTradesBefore(before: TradesBefore): void {
    this.#before = before;
    this.#each((pane) => pane.takeTradesBefore?.(before));
  }

  reset(): void {
    this.#before = null;
    this.#each((pane) => pane.reset?.());
  }

  #each(tell: (pane: Pane) => void): void {
    for (const pane of this.#panes) {
      attempt(() => {
        tell(pane);
      });
    }
  }
}

/** One pane that fails is reported, and takes no other with it. */
function attempt(act: () => void): void {
  try {
    act();
  } catch (error) {
    reportError(error);
  }
}
