/**
 * The heat and the lines of the best prices as pixels, kept off screen. A ring in width: an absolute pixel has its place for as long as it
 * is in view, so scrolling moves nothing, only new columns are painted, and a frame costs two copies. All is painted anew only when
 * zoom, size, prices in view, colours or the scale of sizes change.
 */

import { RAMP_STEPS, mix, type Rgb } from "../heatmap-ramp";
import { heat } from "../heatmap-scale";
import { pxOf } from "../heatmap-time";
import type { Columns } from "../heatmap-columns";
import type { PriceRange } from "../heatmap-range";

export interface PictureColours {
  readonly ramp: readonly Rgb[];
  readonly bid: Rgb;
  readonly ask: Rgb;
  readonly background: Rgb;
  readonly hatch: Rgb;
  readonly warn: Rgb;
}

export interface PictureView {
  readonly columns: Columns;
  readonly nsPerPx: number;
  readonly range: PriceRange;
  readonly sizeMax: number;
  /** Device pixels of one CSS pixel. */
  readonly ratio: number;
}

/** A gap is hatched: it looks like nothing that a book can look like. */
const HATCH_PERIOD_PX = 7;
const HATCH_WIDTH_PX = 1.2;
/** Wider where only the far levels are missing: the picture is whole between them. */
const BEYOND_PERIOD_PX = 12;
const BEYOND_FAINTNESS = 0.5;
const LINE_PX = 1.7;
/** Half of a line's edge is the background, so that it stands out on any heat. */
const CASING = 0.55;
const DOUBT_PX = 3;
const DASH_PX = 6;

export class Picture {
  readonly canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  #image: ImageData;
  #pixels: Uint32Array;
  #lut = new Uint32Array(RAMP_STEPS);
  #colours: PictureColours | null = null;
  #rows = new Float64Array(0);
  #columnRows = new Float64Array(0);
  /** Absolute pixels painted, from and before. */
  #from = 0;
  #to = 0;

  constructor() {
    const context = this.canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("this browser gives no 2D canvas");
    this.#context = context;
    this.#image = context.createImageData(1, 1);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  /** In device pixels; forgets the picture when it changes. */
  resize(width: number, height: number): void {
    if (width === this.canvas.width && height === this.canvas.height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.#image = this.#context.createImageData(width, height);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
    this.invalidate();
  }

  recolour(colours: PictureColours): void {
    this.#colours = colours;
    this.#lut = Uint32Array.from(colours.ramp, pack);
    this.invalidate();
  }

  invalidate(): void {
    this.#from = this.#to = 0;
  }

  /** What is shown of this time has changed, and of all after it. */
  changed(from: number, nsPerPx: number): void {
    this.#to = Math.max(this.#from, Math.min(this.#to, pxOf(from, nsPerPx)));
  }

  /** Paints what is missing for the view that ends before this absolute pixel. How many pixel columns were painted. */
  render(endPx: number, view: PictureView): number {
    const { width } = this.canvas;
    const [from, to] = [endPx - width, endPx];
    if (from >= this.#to || to <= this.#from) this.#from = this.#to = from;
    let painted = 0;
    if (this.#to < to) painted += this.#paint(Math.max(from, this.#to), to, view);
    if (this.#from > from) painted += this.#paint(from, Math.min(to, this.#from), view);
    [this.#from, this.#to] = [from, to];
    return painted;
  }

  /** Copies the view that ends before this absolute pixel to where the context's origin is, in device pixels. */
  copyTo(context: CanvasRenderingContext2D, endPx: number): void {
    const { width, height } = this.canvas;
    const seam = modulo(endPx, width);
    const older = width - seam;
    if (older > 0) context.drawImage(this.canvas, seam, 0, older, height, 0, 0, older, height);
    if (seam > 0) context.drawImage(this.canvas, 0, 0, seam, height, older, 0, seam, height);
  }

  #paint(from: number, to: number, view: PictureView): number {
    const { width, height } = this.canvas;
    const { rows } = view.range;
    if (this.#rows.length !== rows) {
      this.#rows = new Float64Array(rows);
      this.#columnRows = new Float64Array(rows);
    }
    for (let px = from; px < to; px += 1) this.#paintPx(px, view);
    const [left, count] = [modulo(from, width), to - from];
    const first = Math.min(count, width - left);
    this.#context.putImageData(this.#image, 0, 0, left, 0, first, height);
    if (count > first) this.#context.putImageData(this.#image, 0, 0, 0, 0, count - first, height);
    return count;
  }

  #paintPx(px: number, view: PictureView): void {
    const { columns, nsPerPx } = view;
    const x = modulo(px, this.canvas.width);
    const [from, to] = columns.within(px * nsPerPx, (px + 1) * nsPerPx);
    let books = 0;
    let isDoubtful = false;
    let hasGap = false;
    let [lowest, highest] = [Infinity, -Infinity];
    for (let column = from; column < to; column += 1) {
      const kind = columns.kind(column);
      hasGap ||= kind === "gap";
      if (kind === "gap") continue;
      isDoubtful ||= kind === "suspect";
      const known = columns.known(column);
      [lowest, highest] = [Math.min(lowest, known[0]), Math.max(highest, known[1])];
      this.#addColumn(column, view, books === 0);
      books += 1;
    }
    if (books === 0) {
      this.#fillEmpty(px, x, hasGap, view.ratio);
      return;
    }
    this.#fillRows(x, view);
    this.#hatchBeyond(px, x, view, [lowest, highest]);
    if (isDoubtful) this.#fillDoubt(x, view.ratio);
    if (hasGap) this.#dash(x, view.ratio);
    const isBefore = columns.at(from) < px * nsPerPx;
    for (const side of ["B", "A"] as const) this.#line(x, isBefore ? from : from - 1, to - 1, side, view);
  }

  /** Where a pixel holds several columns, a row has the largest size of them: what flashed up is not averaged away. */
  #addColumn(column: number, { columns, range }: PictureView, isFirst: boolean): void {
    const into = isFirst ? this.#rows : this.#columnRows;
    into.fill(0);
    columns.bin(column, into, range.bottom, range.rowTicks);
    if (isFirst) return;
    for (let row = 0; row < into.length; row += 1) this.#rows[row] = Math.max(this.#rows[row] ?? 0, into[row] ?? 0);
  }

  #fillRows(x: number, { range, sizeMax, ratio }: PictureView): void {
    const { width, height } = this.canvas;
    const rowPx = range.rowPx * ratio;
    for (let row = 0; row < this.#rows.length; row += 1) {
      const step = Math.ceil(heat(this.#rows[row] ?? 0, sizeMax) * (RAMP_STEPS - 1));
      const colour = this.#lut[step] ?? 0;
      const top = Math.round((this.#rows.length - 1 - row) * rowPx);
      const bottom = Math.min(height, Math.round((this.#rows.length - row) * rowPx));
      for (let at = top * width + x; at < bottom * width; at += width) this.#pixels[at] = colour;
    }
  }

  /** Beyond the levels that were asked for nobody knows what rested: it must not look as if nothing did. */
  #hatchBeyond(px: number, x: number, { range, ratio }: PictureView, [lowest, highest]: readonly [number, number]): void {
    const { width, height } = this.canvas;
    const yOf = (row: number): number => Math.min(height, Math.max(0, Math.round((this.#rows.length - row) * range.rowPx * ratio)));
    const [above, below] = [Math.floor(highest / range.rowTicks) - range.bottom + 1, Math.floor(lowest / range.rowTicks) - range.bottom];
    if (this.#colours === null) return;
    const hatch = pack(mix(this.#colours.hatch, this.#colours.background, BEYOND_FAINTNESS));
    const period = BEYOND_PERIOD_PX * ratio;
    for (const [from, to] of [[0, yOf(above)], [yOf(below), height]] as const) {
      for (let y = from; y < to; y += 1) {
        if (modulo(px + y, period) < HATCH_WIDTH_PX * ratio) this.#pixels[y * width + x] = hatch;
      }
    }
  }

  #fillEmpty(px: number, x: number, isGap: boolean, ratio: number): void {
    const { width, height } = this.canvas;
    const colours = this.#colours;
    if (colours === null) return;
    const [background, hatch] = [pack(colours.background), pack(colours.hatch)];
    for (let y = 0; y < height; y += 1) {
      const isHatched = isGap && modulo(px + y, HATCH_PERIOD_PX * ratio) < HATCH_WIDTH_PX * ratio;
      this.#pixels[y * width + x] = isHatched ? hatch : background;
    }
  }

  #fillDoubt(x: number, ratio: number): void {
    const { width, height } = this.canvas;
    if (this.#colours === null) return;
    const warn = pack(this.#colours.warn);
    for (let y = Math.max(0, height - Math.round(DOUBT_PX * ratio)); y < height; y += 1) this.#pixels[y * width + x] = warn;
  }

  /** A gap that is no wider than a pixel. */
  #dash(x: number, ratio: number): void {
    const { width, height } = this.canvas;
    if (this.#colours === null) return;
    const hatch = pack(this.#colours.hatch);
    for (let y = 0; y < height; y += 1) if (modulo(y, DASH_PX * ratio) < (DASH_PX * ratio) / 2) this.#pixels[y * width + x] = hatch;
  }

  /** The best price of a side in a column, with a step up or down from the one that stood before. */
  #line(x: number, before: number, column: number, side: "B" | "A", view: PictureView): void {
    const { columns, range, ratio } = view;
    const best = columns.has(column) ? columns.best(column, side) : null;
    if (best === null || this.#colours === null) return;
    const y = range.y(best) * ratio;
    const previous = columns.has(before) ? columns.best(before, side) : null;
    const previousY = previous === null ? y : range.y(previous) * ratio;
    const half = (LINE_PX * ratio) / 2;
    const [top, bottom] = [Math.round(Math.min(y, previousY) - half), Math.round(Math.max(y, previousY) + half)];
    const colour = side === "B" ? this.#colours.bid : this.#colours.ask;
    const casing = Math.max(1, Math.round(ratio));
    for (let at = top - casing; at < bottom + casing; at += 1) {
      if (at < 0 || at >= this.canvas.height) continue;
      const index = at * this.canvas.width + x;
      const isCasing = at < top || at >= bottom;
      this.#pixels[index] = isCasing ? pack(mix(unpack(this.#pixels[index] ?? 0), this.#colours.background, CASING)) : pack(colour);
    }
  }
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** As a little-endian pixel of ImageData, opaque; no browser runs on anything else. */
function pack([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

function unpack(pixel: number): Rgb {
  return [pixel & 255, (pixel >>> 8) & 255, (pixel >>> 16) & 255];
}
