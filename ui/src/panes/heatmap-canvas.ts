/** What lies over and beside the heat: axes, the book of now as bars, and the cross of the pointer. */

import type { Columns } from "../heatmap-columns";
import type { PriceRange } from "../heatmap-range";
import { pxOf, timeTicks } from "../heatmap-time";
import type { TimeView } from "../heatmap-view";
import { formatCompact, trimZeros } from "../format";
import { priceTicks } from "../price-ticks";
import type { Palette } from "./canvas";

const AXIS_FONT_REM = 0.76;
const TICK_GAP_REM = 6.2;
const PRICE_GAP_REM = 2.1;
const BAR_ALPHA = 0.5;
const BAR_TEXT_ROW_PX = 12;

/** In CSS pixels: heat from 0 to `plot`, bars of the book of now from `plot` to `band`, prices from there on; times below `bottom`. */
export interface Layout {
  readonly plot: number;
  readonly band: number;
  readonly width: number;
  readonly bottom: number;
  readonly height: number;
  readonly rem: number;
  readonly ratio: number;
}

export interface Scene {
  readonly context: CanvasRenderingContext2D;
  readonly palette: Palette;
  readonly layout: Layout;
  readonly columns: Columns;
  readonly view: TimeView;
  readonly range: PriceRange;
}

/** CSS pixels of the widest price, for the layout. */
export function priceAxisWidth(context: CanvasRenderingContext2D, palette: Palette, columns: Columns, range: PriceRange, rem: number): number {
  context.font = `600 ${rem * AXIS_FONT_REM}px ${palette.font}`;
  const ends = [range.bottom * range.rowTicks, (range.bottom + range.rows) * range.rowTicks];
  const widest = Math.max(...ends.map((ticks) => context.measureText(columns.grid.price(Math.round(ticks))).width));
  return Math.ceil(widest + rem * 1.1);
}

export function drawGrid(scene: Scene): void {
  const { context, palette, layout, columns, view } = scene;
  const { rem, plot, band, bottom, ratio, width } = layout;
  context.font = `${rem * AXIS_FONT_REM}px ${palette.font}`;
  context.textBaseline = "middle";
  context.lineWidth = 1;
  context.strokeStyle = palette.line;
  rule(context, 0, bottom, width, bottom);
  rule(context, plot, 0, plot, bottom);
  if (band > plot) rule(context, band, 0, band, bottom);
  context.fillStyle = palette.muted;
  context.textAlign = "center";
  const middle = (bottom + layout.height) / 2;
  for (const tick of timeTicks(columns, view.nsPerPx, view.fromPx, view.endPx, Math.round(TICK_GAP_REM * rem * ratio))) {
    const x = (tick.px - view.fromPx) / ratio;
    rule(context, x, bottom, x, bottom + rem * 0.25);
    if (x > rem * 2 && x < plot - rem * 1.9) context.fillText(tick.label, x, middle);
  }
  context.textAlign = "right";
  context.fillText("UTC", width - rem * 0.45, middle);
  if (band > plot) {
    context.textAlign = "center";
    context.fillText("size now", (plot + band) / 2, middle);
  }
  drawPrices(scene);
}

function drawPrices(scene: Scene): void {
  const { context, palette, layout, columns, range } = scene;
  const { rem, band, bottom, width } = layout;
  const right = width - rem * 0.45;
  context.fillStyle = palette.muted;
  context.textAlign = "right";
  context.fillText("price", right, rem * 0.65);
  const taken = bestLabels(scene).map(({ y }) => y);
  for (const ticks of priceTicks(columns.grid, range, PRICE_GAP_REM * rem)) {
    const y = range.y(ticks);
    if (y < rem * 0.5 || y > bottom - rem * 0.5) continue;
    context.globalAlpha = 0.5;
    rule(context, 0, y, band, y, [1, 5]);
    context.globalAlpha = 1;
    const isFree = y > rem * 1.5 && taken.every((at) => Math.abs(at - y) >= rem * LABEL_REM);
    if (isFree) context.fillText(columns.grid.price(ticks), right, y);
  }
}

interface BestLabel {
  readonly side: "B" | "A";
  readonly ticks: number;
  y: number;
}

const LABEL_REM = 1.15;

/** Where the best prices are written: labels of neighbouring ticks give way to each other, and stay inside. */
function bestLabels({ layout, columns, range }: Scene): BestLabel[] {
  const last = columns.end - 1;
  const height = layout.rem * LABEL_REM;
  const labels = (["A", "B"] as const).flatMap((side): BestLabel[] => {
    const ticks = columns.has(last) ? columns.best(last, side) : null;
    return ticks === null ? [] : [{ side, ticks, y: range.y(ticks) }];
  });
  const [upper, lower] = labels.sort((a, b) => a.y - b.y);
  if (upper !== undefined && lower !== undefined && lower.y - upper.y < height) {
    const middle = (upper.y + lower.y) / 2;
    [upper.y, lower.y] = [middle - height / 2, middle + height / 2];
  }
  return labels.filter(({ y }) => y >= 0 && y <= layout.bottom);
}

/** The best prices, filled, where the axis has its prices. */
export function drawBest(scene: Scene): void {
  const { context, palette, layout, columns } = scene;
  const { rem, band, width } = layout;
  const height = rem * LABEL_REM;
  context.font = `600 ${rem * AXIS_FONT_REM}px ${palette.font}`;
  context.textAlign = "right";
  for (const { side, ticks, y } of bestLabels(scene)) {
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    context.fillRect(band + 1, y - height / 2 + 0.5, width - band - 1, height - 1);
    context.fillStyle = palette.panel;
    context.fillText(columns.grid.price(ticks), width - rem * 0.45, y + 0.5);
  }
}

/** What rests now, as bars that begin at the prices. */
export function drawBars({ context, palette, layout, columns, range }: Scene): void {
  const { plot, band, rem, bottom } = layout;
  const last = columns.end - 1;
  if (band <= plot || !columns.has(last) || columns.kind(last) === "gap") return;
  const rows = { B: new Float64Array(range.rows), A: new Float64Array(range.rows) };
  let most = 0;
  for (const side of ["B", "A"] as const) {
    columns.binSide(last, side, rows[side], range.bottom, range.rowTicks);
    for (const size of rows[side]) most = Math.max(most, size);
  }
  const room = band - plot - rem * 0.3;
  context.font = `${Math.min(rem * 0.72, range.rowPx * 0.85)}px ${palette.font}`;
  context.textAlign = "right";
  for (const side of ["B", "A"] as const) {
    for (const [row, size] of rows[side].entries()) {
      const top = (range.rows - 1 - row) * range.rowPx;
      if (size === 0 || top >= bottom) continue;
      const length = Math.max(1, (room * size) / most);
      const gap = range.rowPx > 4 ? 1 : 0;
      context.globalAlpha = BAR_ALPHA;
      context.fillStyle = side === "B" ? palette.bid : palette.ask;
      context.fillRect(band - length, top, length, Math.min(range.rowPx, bottom - top) - gap);
      context.globalAlpha = 1;
      if (range.rowPx < BAR_TEXT_ROW_PX) continue;
      context.fillStyle = palette.text;
      context.fillText(trimZeros(formatCompact(size)), band - rem * 0.3, top + range.rowPx / 2);
    }
  }
}

/** The pointer's row and moment, with their price and time on the axes. */
export function drawCross({ context, palette, layout, range }: Scene, x: number, row: number, price: string, time: string | null): void {
  const { rem, plot, band, width, bottom, height } = layout;
  const top = (range.bottom + range.rows - 1 - row) * range.rowPx;
  context.strokeStyle = palette.text;
  context.lineWidth = 1;
  context.globalAlpha = 0.75;
  context.strokeRect(0.5, Math.round(top) + 0.5, band - 1, Math.max(2, range.rowPx - 1));
  if (x < plot) rule(context, x, 0, x, bottom, [3, 3]);
  context.globalAlpha = 1;
  context.font = `600 ${rem * AXIS_FONT_REM}px ${palette.font}`;
  context.textAlign = "right";
  context.fillStyle = palette.text;
  const at = Math.min(bottom - rem * 0.6, Math.max(rem * 0.6, top + range.rowPx / 2));
  context.fillRect(band + 1, at - rem * 0.6, width - band - 1, rem * 1.2);
  context.fillStyle = palette.panel;
  context.fillText(price, width - rem * 0.45, at + 0.5);
  if (time === null) return;
  context.textAlign = "center";
  const half = context.measureText(time).width / 2 + rem * 0.35;
  const middle = Math.min(plot - half, Math.max(half, x));
  context.fillStyle = palette.text;
  context.fillRect(middle - half, bottom + 1, 2 * half, height - bottom - 2);
  context.fillStyle = palette.panel;
  context.fillText(time, middle, (bottom + height) / 2 + 0.5);
}

/** Absolute pixel of the view at a CSS x. */
export function pxAt(x: number, view: TimeView, layout: Layout): number {
  return Math.min(view.endPx - 1, view.fromPx + Math.floor(x * layout.ratio));
}

/** CSS x of a time. */
export function xOf(at: number, view: TimeView, layout: Layout): number {
  return (pxOf(at, view.nsPerPx) - view.fromPx) / layout.ratio;
}

function rule(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number, dash: number[] = []): void {
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  context.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
  context.stroke();
  context.setLineDash([]);
}
