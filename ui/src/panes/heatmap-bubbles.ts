/**
 * Trades as marks over the heat. A mark changes while trades join it, which is over soon; what lies behind that is painted
 * once, on a layer that is a ring in width as the picture of the heat is, and a frame paints the newest marks only. Each
 * strip of the layer is painted with all the marks that reach into it, so that it looks as if all were painted at once.
 */

import { formatCompact, trimZeros } from "../format";
import { placeLabels, type Box, type Mark } from "../heatmap-labels";
import { pxOf } from "../heatmap-time";
import { cellStart, type Bubble, type Bubbles } from "../heatmap-trades";
import type { Scene } from "./heatmap-canvas";

const BUBBLE_RADIUS_MIN_REM = 0.16;
const BUBBLE_RADIUS_MAX_REM = 1.15;
/** The largest are cut to so many times the largest that is usual. */
const OVERSIZE = 1.2;
/** A mark makes no difference to what is painted further from its middle than this: of its number, and the one that this displaces. */
const REACH_REM = 4;
const BUBBLE_ALPHA = 0.8;
/** From this radius on a bubble says its size. */
const BUBBLE_TEXT_REM = 0.68;

const TEXT_REM = 0.66;
/** Of a figure, in the font's size. */
const FIGURE_EM = 0.62;
const LINE_PX = 1.7;
/** Where more books are under a number, so many of them tell whether a line is. */
const LINES_SEEN_MAX = 32;

export class BubbleLayer {
  readonly #canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  /** Absolute pixels painted for good, from and before. */
  #from = 0;
  #to = 0;
  /** What all marks depend on. */
  #look: readonly unknown[] = [];

  constructor() {
    const context = this.#canvas.getContext("2d");
    if (context === null) throw new Error("this browser gives no 2D canvas");
    this.#context = context;
  }

  /** Marks of this time have changed, or of later ones. */
  changed(from: number, scene: Scene, bubbles: Bubbles): void {
    this.#to = Math.min(this.#to, settledPx(from, scene, bubbles));
    this.#from = Math.min(this.#from, this.#to);
  }

  draw(scene: Scene, bubbles: Bubbles, sizeMax: number): void {
    const { context, layout, view, columns } = scene;
    this.#fit(scene, sizeMax);
    const { width, height } = this.#canvas;
    const [from, end] = [view.endPx - width, view.endPx];
    const settled = settledPx(columns.until, scene, bubbles);
    const to = Math.max(from, Math.min(end, settled));
    if (from >= this.#to || to <= this.#from) this.#from = this.#to = from;
    if (this.#to < to) this.#paint(Math.max(from, this.#to), to, scene, bubbles, sizeMax);
    if (this.#from > from) this.#paint(from, Math.min(to, this.#from), scene, bubbles, sizeMax);
    [this.#from, this.#to] = [from, to];
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const { ring, start, count } of this.#pieces(from, to)) {
      context.drawImage(this.#canvas, ring, 0, count, height, start - from, 0, count, height);
    }
    context.restore();
    if (to < end) {
      const x = (to - from) / layout.ratio;
      drawMarks(scene, context, marksBetween(to, end, from, scene, bubbles, sizeMax), from, x, layout.plot - x);
    }
  }

  /** The mark under the pointer that lies on top. */
  at(x: number, y: number, scene: Scene, bubbles: Bubbles, sizeMax: number): Bubble | null {
    const { fromPx, endPx } = scene.view;
    const marks = marksBetween(fromPx, endPx, fromPx, scene, bubbles, sizeMax);
    return marks.findLast((mark) => Math.hypot(mark.x - x, mark.y - y) <= mark.radius + 1)?.bubble ?? null;
  }

  /** Forgets all where anything has changed that all marks depend on. */
  #fit({ layout, palette, view, range }: Scene, sizeMax: number): void {
    const { plot, bottom, rem, ratio } = layout;
    const look = [palette, view.nsPerPx, range.bottom, range.rowTicks, range.rowPx, sizeMax, plot, bottom, rem, ratio];
    if (look.every((each, index) => each === this.#look[index])) return;
    this.#look = look;
    this.#canvas.width = Math.round(plot * ratio);
    this.#canvas.height = Math.round(bottom * ratio);
    this.#from = this.#to = 0;
  }

  #paint(from: number, to: number, scene: Scene, bubbles: Bubbles, sizeMax: number): void {
    const { ratio, bottom } = scene.layout;
    const context = this.#context;
    for (const { ring, start, count } of this.#pieces(from, to)) {
      const marks = marksBetween(start, start + count, start, scene, bubbles, sizeMax);
      context.setTransform(ratio, 0, 0, ratio, ring, 0);
      context.clearRect(0, 0, count / ratio, bottom);
      drawMarks(scene, context, marks, start, 0, count / ratio);
    }
  }

  /** Where absolute pixels lie in the ring: in one piece, or in two. */
  #pieces(from: number, to: number): { readonly ring: number; readonly start: number; readonly count: number }[] {
    const { width } = this.#canvas;
    const ring = ((from % width) + width) % width;
    const first = Math.min(to - from, width - ring);
    const pieces = [{ ring, start: from, count: first }, { ring: 0, start: from + first, count: to - from - first }];
    return pieces.filter(({ count }) => count > 0);
  }
}

/** Absolute pixels before this one have no mark of this time's cell or later ones. */
function settledPx(at: number, { view, layout }: Scene, bubbles: Bubbles): number {
  return pxOf(cellStart(at, bubbles.nsPerCell), view.nsPerPx) - Math.ceil(REACH_REM * layout.rem * layout.ratio);
}

/** Marks that reach between two absolute pixels, by their place from `originPx` on; large ones first: a small one on top of them is still seen. */
function marksBetween(from: number, to: number, originPx: number, scene: Scene, bubbles: Bubbles, sizeMax: number): Mark[] {
  const { layout, view, range } = scene;
  const { rem, bottom, ratio } = layout;
  const reach = REACH_REM * rem * ratio;
  const marks: Mark[] = [];
  for (const bubble of bubbles.all) {
    const px = bubble.at / view.nsPerPx;
    if (px < from - reach || px > to + reach) continue;
    const [y, radius] = [range.y(bubble.ticks), radiusOf(bubble.size, sizeMax, rem)];
    if (y >= -radius && y <= bottom + radius) marks.push({ bubble, x: (px - originPx) / ratio, y, radius });
  }
  return marks.sort((a, b) => b.radius - a.radius);
}

/** The area is the size. */
function radiusOf(size: number, sizeMax: number, rem: number): number {
  const most = BUBBLE_RADIUS_MAX_REM * rem;
  return Math.min(most * OVERSIZE, Math.max(BUBBLE_RADIUS_MIN_REM * rem, most * Math.sqrt(size / Math.max(1, sizeMax))));
}

/** Circles are bought, diamonds sold, squares neither; `originPx` is the absolute pixel that places count from. */
function drawMarks(scene: Scene, context: CanvasRenderingContext2D, marks: readonly Mark[], originPx: number, left: number, width: number): void {
  if (marks.length === 0) return;
  const { palette, layout } = scene;
  context.save();
  context.beginPath();
  context.rect(left, 0, width, layout.bottom);
  context.clip();
  context.strokeStyle = palette.panel;
  for (const mark of marks) {
    const { side } = mark.bubble;
    context.fillStyle = side === "B" ? palette.bid : side === "A" ? palette.ask : palette.text;
    context.beginPath();
    shape(context, mark);
    context.globalAlpha = BUBBLE_ALPHA;
    context.fill();
    context.globalAlpha = 1;
    // An outline as strong as that of a large mark would be all there is of a small one.
    context.lineWidth = Math.min(1.2, mark.radius * 0.25);
    context.stroke();
  }
  drawLines(scene, context, marks, originPx, left, width);
  drawSizes(scene, context, marks, originPx);
  context.restore();
}

/** The lines of the best prices once more, where marks cover them. */
function drawLines({ palette, layout, columns, view, range }: Scene, context: CanvasRenderingContext2D, marks: readonly Mark[], originPx: number, left: number, width: number): void {
  const { ratio } = layout;
  context.save();
  context.beginPath();
  for (const mark of marks) shape(context, mark);
  context.clip();
  context.lineJoin = "round";
  for (const side of ["B", "A"] as const) {
    context.beginPath();
    let isDrawing = false;
    for (let px = Math.floor(left * ratio) - 1; px <= (left + width) * ratio; px += 1) {
      const at = (originPx + px) * view.nsPerPx;
      const [from, to] = columns.within(at, at + view.nsPerPx);
      const best = from < to ? columns.best(to - 1, side) : null;
      const [x, y] = [px / ratio, best === null ? 0 : range.y(best)];
      if (best !== null && isDrawing) context.lineTo(x, y);
      else if (best !== null) context.moveTo(x, y);
      isDrawing = best !== null;
    }
    context.strokeStyle = palette.panel;
    context.lineWidth = 2 * LINE_PX;
    context.stroke();
    context.strokeStyle = side === "B" ? palette.bid : palette.ask;
    context.lineWidth = LINE_PX;
    context.stroke();
  }
  context.restore();
}

/** Over all marks, so that none covers a number. */
function drawSizes(scene: Scene, context: CanvasRenderingContext2D, marks: readonly Mark[], originPx: number): void {
  const { palette, layout } = scene;
  const { rem, bottom } = layout;
  const labels = placeLabels(marks.filter(({ radius }) => radius >= BUBBLE_TEXT_REM * rem), {
    bottom,
    textHeight: rem * TEXT_REM * 1.15,
    textOf: ({ size }) => trimZeros(formatCompact(size)),
    widthOf: (text) => (text.length * FIGURE_EM + 0.4) * rem * TEXT_REM,
    hasLine: (box) => hasLine(scene, originPx, box),
  });
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `700 ${rem * TEXT_REM}px ${palette.font}`;
  context.lineWidth = rem * 0.18;
  context.lineJoin = "round";
  context.strokeStyle = palette.panel;
  context.fillStyle = palette.text;
  for (const { text, x, y } of labels) {
    context.strokeText(text, x, y + 0.5);
    context.fillText(text, x, y + 0.5);
  }
}

function hasLine({ layout, view, columns, range }: Scene, originPx: number, { left, right, top, bottom }: Box): boolean {
  const atOf = (x: number): number => (originPx + x * layout.ratio) * view.nsPerPx;
  const [from, to] = columns.within(atOf(left), atOf(right));
  const step = Math.max(1, Math.ceil((to - from) / LINES_SEEN_MAX));
  for (const side of ["B", "A"] as const) {
    let before: number | null = null;
    for (let column = from; column < to; column += step) {
      const best = columns.best(column, side);
      const y: number | null = best === null ? null : range.y(best);
      if (y !== null && Math.max(y, before ?? y) >= top - LINE_PX && Math.min(y, before ?? y) <= bottom + LINE_PX) return true;
      before = y;
    }
  }
  return false;
}

/** Adds the outline of a trade's mark to the path; a diamond and a square have the circle's area. */
function shape(context: CanvasRenderingContext2D, { bubble: { side }, x, y, radius }: Mark): void {
  if (side === "B") {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
    return;
  }
  const half = side === "A" ? radius * Math.sqrt(Math.PI / 2) : (radius * Math.sqrt(Math.PI)) / 2;
  if (side === "A") {
    context.moveTo(x, y - half);
    context.lineTo(x + half, y);
    context.lineTo(x, y + half);
    context.lineTo(x - half, y);
    context.closePath();
  } else {
    context.rect(x - half, y - half, 2 * half, 2 * half);
  }
}
