/** The depth chart: cumulative size by price, bids and asks. */

import "./depth.css";
import { decimalsOf, formatDecimal } from "../decimal";
import { make } from "../dom";
import { formatInteger, plural, withMinus } from "../format";
import { keyOf, type Book } from "../feed/wire";
import type { State } from "../state";
import { Pointer, Surface, type Palette } from "./canvas";
import { priceLabels, sizeLabels } from "./depth-axis";
import { averagePrice, buildDepth, distanceOf, pointAt, type DepthCurves, type DepthPoint } from "./depth-model";
import type { Pane, PaneContext } from "../pane";
import { roundUp } from "../round";
import { TickFinder } from "../tick";
import type { Tip } from "./tip";

const AREA_ALPHA = 0.16;
/** Sides differ by the slant of their hatching too, and not by colour alone. */
const HATCH_ALPHA = 0.34;
const HATCH_REM = 0.55;
const MARGIN_REM = { left: 3.4, right: 0.9, top: 1.5, bottom: 1.9 } as const;
/** At least so much between the prices of the axis. */
const PRICE_GAP_REM = 2.4;
const SIZE_STEP_REM = 3;

type Slant = "rising" | "falling";

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly x: (price: number) => number;
  readonly y: (size: number) => number;
}

export class DepthPane implements Pane {
  readonly #surface: Surface;
  readonly #pointer: Pointer;
  readonly #tip: Tip;
  readonly #hatches = new Map<string, CanvasPattern>();
  readonly #ticks = new TickFinder();
  /** Of the tick, and of the prices as they are written. */
  #decimals = 0;
  #book: Book | null = null;
  #curves: DepthCurves | null = null;
  #painted: readonly unknown[] = [];

  constructor({ root, tip, repaint, onPointer }: PaneContext) {
    const canvas = make("canvas", "depth-canvas");
    canvas.dataset["testid"] = "depth-canvas";
    canvas.role = "img";
    canvas.ariaLabel = "Cumulative size by price; the ladder has the same levels as a table";
    const legend = make("p", "depth-legend");
    legend.append(make("span", "key bid", "Bids (B)"), make("span", "key ask", "Asks (A)"), make("span", "unit", "cumulative size by price"));
    root.append(legend, canvas);
    this.#tip = tip;
    this.#surface = new Surface(canvas, () => {
      this.#painted = [];
      repaint();
    });
    this.#pointer = new Pointer(canvas, onPointer, true);
  }

  write({ depth }: State): void {
    if (depth === this.#book) return;
    if (depth === null || this.#book === null || keyOf(depth) !== keyOf(this.#book)) {
      this.#ticks.reset();
      this.#decimals = 0;
    }
    this.#book = depth;
    this.#curves = depth === null ? null : buildDepth(depth);
    if (depth === null) return;
    this.#ticks.take(depth.bids, depth.asks);
    const written = [depth.bids[0], depth.asks[0]].map((best) => (best === undefined ? 0 : decimalsOf(best.price)));
    this.#decimals = Math.max(this.#decimals, decimalsOf(formatDecimal(this.#ticks.tick, 0)), ...written);
  }

  paint(palette: Palette): void {
    const { x, y, inside } = this.#pointer;
    const now = [palette, x, y, inside, this.#curves];
    if (now.every((each, index) => each === this.#painted[index])) return;
    this.#painted = now;
    const context = this.#surface.begin();
    const curves = this.#curves;
    if (curves === null || this.#surface.width === 0) {
      this.#note(context, palette, "No levels yet");
      this.#tip.hide(this);
      return;
    }
    const sizeTop = roundUp(curves.sizeMax);
    const frame = this.#frame(curves, sizeTop);
    this.#axes(context, palette, curves, sizeTop, frame);
    context.save();
    context.beginPath();
    context.rect(frame.left, frame.top - 2, frame.right - frame.left, frame.bottom - frame.top + 2);
    context.clip();
    const { levelsMax } = curves;
    this.#curve(context, curves.bids, palette.bid, "rising", frame, levelsMax, frame.left);
    this.#curve(context, curves.asks, palette.ask, "falling", frame, levelsMax, frame.right);
    context.restore();
    this.#hover(context, palette, curves, frame);
  }

  #frame(curves: DepthCurves, sizeTop: number): Frame {
    const { width, height, rem } = this.#surface;
    const left = MARGIN_REM.left * rem;
    const right = width - MARGIN_REM.right * rem;
    const top = MARGIN_REM.top * rem;
    const bottom = height - MARGIN_REM.bottom * rem;
    const span = curves.to - curves.from;
    return {
      left,
      right,
      top,
      bottom,
      x: (price) => left + ((price - curves.from) / span) * (right - left),
      y: (size) => bottom - (size / sizeTop) * (bottom - top),
    };
  }

  #axes(context: CanvasRenderingContext2D, palette: Palette, curves: DepthCurves, sizeTop: number, frame: Frame): void {
    const { rem } = this.#surface;
    context.font = `${rem * 0.76}px ${palette.font}`;
    context.lineWidth = 1;
    context.strokeStyle = palette.line;
    context.fillStyle = palette.muted;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const { at, text } of sizeLabels(sizeTop, (frame.bottom - frame.top) / (rem * SIZE_STEP_REM))) {
      const y = Math.round(frame.y(at)) + 0.5;
      line(context, frame.left, y, frame.right, y);
      context.fillText(text, frame.left - rem * 0.45, y);
    }
    context.textAlign = "left";
    context.fillText("size", rem * 0.7, rem * 0.65);
    this.#prices(context, curves, frame);
  }

  #prices(context: CanvasRenderingContext2D, { from, to, bids, asks }: DepthCurves, frame: Frame): void {
    const { rem, width } = this.#surface;
    const middle = (frame.bottom + this.#surface.height) / 2;
    const ends = [bids.at(-1), asks.at(-1)].map((end) => context.measureText(withMinus(end?.level.price ?? "")).width);
    const labelWidth = Math.max(...ends) + rem * PRICE_GAP_REM;
    const name = rem * 0.7 + context.measureText("price").width;
    context.fillText("price", rem * 0.7, middle);
    context.textAlign = "center";
    for (const { at, text } of priceLabels(from, to, this.#ticks.tick, this.#decimals, (frame.right - frame.left) / labelWidth)) {
      const x = Math.round(frame.x(at)) + 0.5;
      line(context, x, frame.bottom, x, frame.bottom + rem * 0.25);
      const half = context.measureText(text).width / 2;
      // A price that would touch the word, or be cut by the edge, is left out.
      if (x - half > name + rem * 0.6 && x + half < width - rem * 0.2) context.fillText(text, x, middle);
    }
  }

  /** A step at each level, from the best one outward to the edge of the chart. */
  #curve(
    context: CanvasRenderingContext2D,
    points: readonly DepthPoint[],
    colour: string,
    slant: Slant,
    frame: Frame,
    levelsMax: number,
    edge: number,
  ): void {
    const [first] = points;
    const last = points.at(-1);
    if (first === undefined || last === undefined) return;
    // Beyond the last level of a side that was cut off nothing is known; a whole side goes on as it is.
    const end = points.length < levelsMax ? edge : frame.x(last.x);
    const path = new Path2D();
    path.moveTo(frame.x(first.x), frame.bottom);
    points.forEach((point, index) => {
      const next = points[index + 1];
      path.lineTo(frame.x(point.x), frame.y(point.cumulative));
      path.lineTo(next === undefined ? end : frame.x(next.x), frame.y(point.cumulative));
    });
    context.strokeStyle = colour;
    context.lineWidth = Math.max(1.5, this.#surface.rem * 0.11);
    context.stroke(path);
    path.lineTo(end, frame.bottom);
    path.closePath();
    context.globalAlpha = AREA_ALPHA;
    context.fillStyle = colour;
    context.fill(path);
    context.globalAlpha = HATCH_ALPHA;
    context.fillStyle = this.#hatch(context, colour, slant) ?? colour;
    context.fill(path);
    context.globalAlpha = 1;
  }

  /** Drawn once for each colour and size of the page. */
  #hatch(context: CanvasRenderingContext2D, colour: string, slant: Slant): CanvasPattern | null {
    const { rem, ratio } = this.#surface;
    const size = Math.round(HATCH_REM * rem * ratio);
    const key = `${colour} ${slant} ${size}`;
    const known = this.#hatches.get(key);
    if (known !== undefined) return known;
    const tile = new OffscreenCanvas(size, size);
    const brush = tile.getContext("2d");
    if (brush === null) return null;
    brush.strokeStyle = colour;
    brush.lineWidth = Math.max(1, size / 8);
    brush.beginPath();
    // Three strokes, so that the corners of neighbouring tiles meet.
    for (const shift of [-size, 0, size]) {
      brush.moveTo(shift, slant === "rising" ? size : 0);
      brush.lineTo(shift + size, slant === "rising" ? 0 : size);
    }
    brush.stroke();
    const pattern = context.createPattern(tile, "repeat");
    if (pattern === null) return null;
    pattern.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, 0, 0]));
    this.#hatches.set(key, pattern);
    return pattern;
  }

  #hover(context: CanvasRenderingContext2D, palette: Palette, curves: DepthCurves, frame: Frame): void {
    const { x, y, inside } = this.#pointer;
    const price = curves.from + ((x - frame.left) / (frame.right - frame.left)) * (curves.to - curves.from);
    const found = inside && x >= frame.left && x <= frame.right ? pointAt(curves, price) : null;
    if (found === null) {
      this.#tip.hide(this);
      return;
    }
    const { point, side } = found;
    context.strokeStyle = palette.muted;
    context.lineWidth = 1;
    line(context, Math.round(x) + 0.5, frame.top, Math.round(x) + 0.5, frame.bottom);
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    context.beginPath();
    context.arc(frame.x(point.x), frame.y(point.cumulative), this.#surface.rem * 0.28, 0, 2 * Math.PI);
    context.fill();
    const box = this.#surface.canvas.getBoundingClientRect();
    const points = side === "B" ? curves.bids : curves.asks;
    const other = side === "B" ? curves.asks[0] : curves.bids[0];
    this.#tip.show(this, box.left + x, box.top + y, [
      `${side} ${withMinus(point.level.price)}`,
      `${formatInteger(point.cumulative)} to here, in ${plural(point.orders, "order")}`,
      `${formatInteger(point.level.size)} at this price, in ${plural(point.level.count, "order")}`,
      `all of it on average at ${averagePrice(points, point)}`,
      ...(other === undefined ? [] : [`${distanceOf(point, other)} from the best ${side === "B" ? "ask" : "bid"}`]),
    ]);
  }

  #note(context: CanvasRenderingContext2D, palette: Palette, text: string): void {
    const { width, height, rem } = this.#surface;
    context.fillStyle = palette.muted;
    context.font = `${rem * 0.9}px ${palette.font}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, width / 2, height / 2);
  }
}

function line(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}
