/** Which time is in view, and how near: by absolute pixels, as heatmap-time has them. */

import type { Columns } from "./heatmap-columns";
import { openingWindow, pxOf, zoomedWindow } from "./heatmap-time";

/** A measured pace trembles: a window follows one that is so many times as fast or as slow as that which it is made for. */
const PACE_CHANGE = 1.6;

export class TimeView {
  nsPerPx = 1;
  /** Null: what is newest is at the right edge. */
  #endPx: number | null = null;
  /** Null: as long as fits what has been seen. */
  #chosenNs: number | null = null;
  #pace = 1;
  #widthPx = 1;
  readonly #columns: Columns;

  constructor(columns: Columns) {
    this.#columns = columns;
  }

  get follows(): boolean {
    return this.#endPx === null;
  }

  /** The absolute pixel after the last one in view. */
  get endPx(): number {
    return this.#endPx ?? this.#newestPx;
  }

  get fromPx(): number {
    return this.endPx - this.#widthPx;
  }

  /** How much of the market's time is in view, ns. */
  get windowNs(): number {
    return this.#widthPx * this.nsPerPx;
  }

  /** Columns in view, from and before; only those that are kept. */
  get span(): readonly [from: number, to: number] {
    return this.#columns.within(this.fromPx * this.nsPerPx, this.endPx * this.nsPerPx);
  }

  /**
   * Whether the scale has changed: it follows the width, and before a choice what has been seen. `pace`: how many times as fast as the
   * page's time that of the market goes.
   */
  fit(widthPx: number, pace: number): boolean {
    const change = pace / this.#pace;
    if (pace > 0 && (change > PACE_CHANGE || change < 1 / PACE_CHANGE)) this.#pace = pace;
    this.#widthPx = Math.max(1, widthPx);
    const seenNs = this.#columns.until - this.#columns.at(this.#columns.first);
    return this.#rescale(this.#chosenNs ?? openingWindow(seenNs, this.#pace), this.#widthPx);
  }

  /** The moment at `px` from the left edge stays where it is, unless the view follows the newest. */
  zoom(steps: number, px: number): boolean {
    this.#chosenNs = zoomedWindow(this.#chosenNs ?? this.windowNs, steps);
    return this.#rescale(this.#chosenNs, px);
  }

  /** By pixels, positive to earlier times; from what is newest on the view follows again. */
  scroll(px: number): void {
    const firstPx = pxOf(this.#columns.at(this.#columns.first), this.nsPerPx);
    const oldest = firstPx + Math.min(this.#widthPx, this.#newestPx - firstPx);
    const end = Math.max(oldest, this.endPx - Math.round(Math.min(px, Number.MAX_SAFE_INTEGER)));
    this.#endPx = end >= this.#newestPx ? null : end;
  }

  follow(): void {
    this.#endPx = null;
  }

  clear(): void {
    this.#endPx = this.#chosenNs = null;
  }

  get #newestPx(): number {
    return pxOf(this.#columns.until, this.nsPerPx) + 1;
  }

  #rescale(windowNs: number, px: number): boolean {
    const before = this.nsPerPx;
    const nsPerPx = windowNs / this.#widthPx;
    if (nsPerPx === before) return false;
    const held = (this.fromPx + px) * before;
    this.nsPerPx = nsPerPx;
    if (this.#endPx === null) return true;
    this.#endPx = pxOf(held, nsPerPx) - px + this.#widthPx;
    this.scroll(0);
    return true;
  }
}
