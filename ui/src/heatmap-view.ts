/** Which part of the columns is in view, and how near: by absolute pixels, as heatmap-time has them. */

import type { Columns } from "./heatmap-columns";
import { COLUMN_INTERVAL_MS } from "./heatmap-columns";
import { columnsOf, openingSeconds, pxOf, timeScale, zoomedSeconds, type TimeScale } from "./heatmap-time";

export class TimeView {
  scale: TimeScale = { pxPerColumn: 1, columnsPerPx: 1 };
  /** Null: the newest column is at the right edge. */
  #endPx: number | null = null;
  /** Null: as long as fits what has been seen. */
  #chosenSeconds: number | null = null;
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

  /** How much of the page's time is in view. */
  get seconds(): number {
    return (((this.#widthPx / this.scale.pxPerColumn) * this.scale.columnsPerPx) * COLUMN_INTERVAL_MS) / 1_000;
  }

  /** Columns in view, from and before; only those that are kept. */
  get span(): readonly [from: number, to: number] {
    const from = columnsOf(this.fromPx, this.scale)[0];
    const to = columnsOf(this.endPx - 1, this.scale)[1];
    return [Math.max(from, this.#columns.first), Math.min(to, this.#columns.end)];
  }

  /** Whether the scale has changed: it follows the width, and before a choice what has been seen. */
  fit(widthPx: number): boolean {
    const seconds = this.#chosenSeconds ?? openingSeconds(this.#columns.length);
    this.#widthPx = Math.max(1, widthPx);
    return this.#rescale(timeScale(seconds, this.#widthPx), this.#widthPx);
  }

  /** The moment at `px` from the left edge stays where it is, unless the view follows the newest. */
  zoom(steps: number, px: number): boolean {
    this.#chosenSeconds = zoomedSeconds(this.#chosenSeconds ?? this.seconds, steps);
    return this.#rescale(timeScale(this.#chosenSeconds, this.#widthPx), px);
  }

  /** By pixels, positive to earlier times; from the newest column on the view follows again. */
  scroll(px: number): void {
    const oldest = pxOf(this.#columns.first, this.scale) + Math.min(this.#widthPx, this.#newestPx - pxOf(this.#columns.first, this.scale));
    const end = Math.max(oldest, this.endPx - Math.round(Math.min(px, Number.MAX_SAFE_INTEGER)));
    this.#endPx = end >= this.#newestPx ? null : end;
  }

  follow(): void {
    this.#endPx = null;
  }

  clear(): void {
    this.#endPx = this.#chosenSeconds = null;
  }

  get #newestPx(): number {
    const { end } = this.#columns;
    return end === 0 ? 0 : pxOf(end - 1, this.scale) + this.scale.pxPerColumn;
  }

  #rescale(scale: TimeScale, px: number): boolean {
    const before = this.scale;
    if (scale.pxPerColumn === before.pxPerColumn && scale.columnsPerPx === before.columnsPerPx) return false;
    if (this.#endPx === null) {
      this.scale = scale;
      return true;
    }
    const [held] = columnsOf(this.fromPx + px, before);
    this.scale = scale;
    this.#endPx = pxOf(held, scale) - px + this.#widthPx;
    this.scroll(0);
    return true;
  }
}
