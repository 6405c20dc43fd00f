/** Makes the panes, and hands on to them what the page is told. */

import { byTestId, setHidden } from "./dom";
import type { Trade } from "./feed/feed";
import type { Book } from "./feed/wire";
import type { Pane, PaneClass, PaneContext, PaneName } from "./pane";
import type { Palette } from "./panes/canvas";
import type { State } from "./state";

export class PaneHost {
  readonly #panes: Pane[] = [];
  readonly #context: Omit<PaneContext, "root">;

  constructor(context: Omit<PaneContext, "root">) {
    this.#context = context;
  }

  add(name: PaneName, make: PaneClass): void {
    const root = byTestId(`${name}-pane`, HTMLElement);
    const pane = new make({ root, ...this.#context });
    setHidden(root, false);
    this.#panes.push(pane);
    // What was told before it was there.
    const { depth, trades } = this.#context.state;
    if (depth !== null) pane.takeDepth?.(depth, true);
    if (trades.length > 0) pane.takeTrades?.(trades, true);
    this.#context.repaint();
  }

  takeDepth(book: Book, isSnapshot: boolean): void {
    this.#each((pane) => pane.takeDepth?.(book, isSnapshot));
  }

  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    this.#each((pane) => pane.takeTrades?.(trades, isSnapshot));
  }

  reset(): void {
    this.#each((pane) => pane.reset?.());
  }

  write(state: State, nowMs: number): void {
    this.#each((pane) => pane.write?.(state, nowMs));
  }

  paint(palette: Palette, nowMs: number): void {
    this.#each((pane) => pane.paint?.(palette, nowMs));
  }

  /** One pane that fails is reported, and takes no other with it. */
  #each(tell: (pane: Pane) => void): void {
    for (const pane of this.#panes) {
      try {
        tell(pane);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
