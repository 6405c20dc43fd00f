/** What a pane is, and what it is given: the contract between main.ts and everything under panes/. */

import type { Feed, Trade } from "./feed/feed";
import type { Answer } from "./feed/request";
import type { Book } from "./feed/wire";
import type { Palette } from "./panes/canvas";
import type { Tip } from "./panes/tip";
import type { Preferences } from "./preferences";
import type { ReplayCommands } from "./replay-commands";
import type { State } from "./state";
import type { TradesBefore } from "./trades-before";

export interface Pane {
  /** Every update, twenty a second: all levels with their queues. Cheap work only. */
  takeDepth?(book: Book, isSnapshot: boolean): void;
  takeTrades?(trades: readonly Trade[], isSnapshot: boolean): void;
  /** Of a time gone to, once: what was recorded of just before it. */
  takeTradesBefore?(before: TradesBefore): void;
  /** Another instrument, a new epoch, a seek, live or the past: forget what was gathered before. */
  reset?(): void;
  /** Text and tables; ten times a second at most. */
  write?(state: State, nowMs: number): void;
  /** Canvases; after each text, and where a pointer moves. */
  paint?(palette: Palette, nowMs: number): void;
  /** Its canvases are painted between two texts too, twenty-five times a second at most, while there is news. */
  readonly isMoving?: boolean;
}

export interface Actions {
  /** An order to look at closely, null for none. */
  selectOrder(orderId: string | null): void;
  choose(instrument: string): void;
  /** What is known of its state; who wants to go elsewhere in time asks `replay`. */
  readonly feed: Pick<Feed, "resyncs" | "check" | "verified" | "showQueues">;
  readonly replay: ReplayCommands;
  /** A GET of the HTTP contract with the reader's key, for a path like /v1/history. */
  request(path: string): Promise<Exclude<Answer, { readonly kind: "aborted" | "unchanged" }>>;
  /** A key as KeyboardEvent names it, a letter in either case, named keys perhaps behind "Shift+"; the help lists it. */
  bind(key: string, description: string, act: (event: KeyboardEvent) => void): void;
  /** Keeps a choice of the reader's, and shows the page by it. */
  prefer(changes: Partial<Preferences>): void;
}

export interface PaneContext {
  /** The section of index.html that is the pane's; it is shown once the pane is made. */
  readonly root: HTMLElement;
  readonly state: State;
  readonly actions: Actions;
  readonly tip: Tip;
  /** The pane's text and canvases in the next frame that has room: the reader did something. */
  readonly repaint: () => void;
  /** The pane's canvases likewise: a pointer moved. */
  readonly onPointer: () => void;
}

export type PaneName = "ladder" | "heatmap" | "depth" | "inspector" | "tape" | "replay" | "health" | "performance";
export type PaneClass = new (context: PaneContext) => Pane;
