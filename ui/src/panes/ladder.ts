/** The ladder pane: table, bars and queue blocks, and what a block says under the pointer. */

import { byTestId } from "../dom";
import { formatInteger, formatTime } from "../format";
import type { Pane, PaneContext } from "../pane";
import type { State } from "../state";
import { Pointer, Surface, type Palette } from "./canvas";
import { LadderCanvas, measureLadder, type Block, type LadderGeometry } from "./ladder-canvas";
import { buildLadder, type Ladder } from "./ladder-model";
import { LadderTable } from "./ladder-table";
import { PriceWidth } from "./price-width";
import type { Tip } from "./tip";

const ROW_HEIGHT_MIN_REM = 1.5;
const ROW_HEIGHT_MAX_REM = 3;
/** From this width on, the pane has a height of its own that the rows share; below it, the page scrolls. */
const FIXED_HEIGHT = "(min-width: 60rem)";

export class LadderPane implements Pane {
  readonly #scroll = byTestId("ladder-scroll", HTMLElement);
  readonly #element = byTestId("ladder", HTMLTableElement);
  readonly #header = byTestId("ladder-columns", HTMLTableRowElement);
  readonly #table = new LadderTable(byTestId("ladder-body", HTMLTableSectionElement));
  readonly #surface: Surface;
  readonly #canvas: LadderCanvas;
  readonly #pointer: Pointer;
  readonly #tip: Tip;
  readonly #priceWidth = new PriceWidth();
  #ladder: Ladder | null = null;
  #geometry: LadderGeometry | null = null;
  #hovered: Block | null = null;
  #depth: number;
  #centrePending = true;

  constructor({ state, actions, tip, repaint, onPointer }: PaneContext) {
    this.#depth = state.preferences.depth;
    this.#tip = tip;
    this.#surface = new Surface(byTestId("ladder-canvas", HTMLCanvasElement), () => {
      this.#geometry = null;
      repaint();
    });
    this.#canvas = new LadderCanvas(this.#surface);
    this.#pointer = new Pointer(this.#element, onPointer);
    new ResizeObserver(() => {
      this.#fitRows();
      repaint();
    }).observe(this.#scroll);
    const centre = (): void => {
      this.centre();
    };
    byTestId("centre-button", HTMLButtonElement).addEventListener("click", centre);
    actions.bind("c", "centre the ladder", centre);
  }

  /** Brings the middle of the book to the middle of the pane. */
  centre(): void {
    const row = this.#ladder === null ? undefined : this.#table.row(this.#ladder.centre);
    if (row === undefined) return;
    const middle = row.offsetTop + row.offsetHeight / 2 + this.#header.offsetHeight / 2;
    this.#scroll.scrollTop = middle - this.#scroll.clientHeight / 2;
  }

  write({ book, preferences }: State): void {
    // Other widths of prices move the columns.
    if (this.#priceWidth.write(book)) this.#geometry = null;
    if (preferences.depth !== this.#depth) {
      this.#depth = preferences.depth;
      this.#centrePending = true;
    }
    const ladder = buildLadder(book, this.#depth);
    const resized = ladder.rows.length !== this.#table.rowCount;
    this.#ladder = ladder;
    this.#table.write(ladder);
    if (resized) this.#fitRows();
    if (this.#centrePending && book !== null) {
      this.#centrePending = false;
      this.centre();
    }
  }

  paint(palette: Palette): void {
    if (this.#ladder === null) return;
    this.#geometry ??= this.#measure();
    if (this.#geometry === null) return;
    this.#canvas.paint(this.#ladder, this.#geometry, palette);
    this.#hovered = this.#blockUnderPointer(this.#geometry);
    if (this.#hovered !== null) this.#canvas.light(this.#hovered, this.#geometry, palette);
    this.#showTip();
  }

  #measure(): LadderGeometry | null {
    const first = this.#table.row(0);
    if (first === undefined) return null;
    this.#surface.measure();
    return measureLadder(this.#element, this.#header, first);
  }

  /** Shares the pane's height among the rows, within what reads well. */
  #fitRows(): void {
    this.#geometry = null;
    let height = ROW_HEIGHT_MIN_REM;
    if (window.matchMedia(FIXED_HEIGHT).matches && this.#table.rowCount > 0) {
      this.#surface.measure();
      const head = this.#element.tHead?.offsetHeight ?? 0;
      const shared = (this.#scroll.clientHeight - head - 1) / this.#table.rowCount / this.#surface.rem;
      height = Math.min(ROW_HEIGHT_MAX_REM, Math.max(ROW_HEIGHT_MIN_REM, shared));
    }
    this.#element.style.setProperty("--row-height", `${height.toFixed(3)}rem`);
  }

  #blockUnderPointer({ top, rowHeight }: LadderGeometry): Block | null {
    if (!this.#pointer.inside) return null;
    const row = Math.floor((this.#pointer.y - top) / rowHeight);
    const { x } = this.#pointer;
    return this.#canvas.blocks.find((block) => block.row === row && x >= block.from && x <= block.to + 1) ?? null;
  }

  #showTip(): void {
    if (this.#hovered === null) {
      this.#tip.hide(this);
      return;
    }
    const { order, side, price, place } = this.#hovered;
    const [orderId, size, tsEvent] = order;
    const time = formatTime(tsEvent).exact.split(" · ")[0] ?? "";
    const box = this.#element.getBoundingClientRect();
    this.#tip.show(this, box.left + this.#pointer.x, box.top + this.#pointer.y, [
      `${side} ${price} · size ${formatInteger(size)}`,
      place === 0 ? "front of the queue" : `${formatInteger(place)} ahead in the queue`,
      `order ${orderId}`,
      time,
    ]);
  }
}
