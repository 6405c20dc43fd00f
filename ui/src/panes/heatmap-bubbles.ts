/**
 * Trades as marks over the heat. A mark changes while trades join it, which is over soon; what lies behind that is painted
 * once, on a layer that is a ring in width as the picture of the heat is, and a frame paints the newest marks only. Each
 * strip of the layer is painted with all the marks that reach into it, so that it looks as if all were painted at once.
 */

import { formatCompact, trimZeros } from "../format";
import { pxOf } from "../heatmap-time";
import { cellStart, type Bubble, type Bubbles } from "../heatmap-trades";
import type { Palette } from "./canvas";
import type { Scene } from "./heatmap-canvas";

const BUBBLE_RADIUS_MIN_REM = 0.16;
const BUBBLE_RADIUS_MAX_REM = 1.15;
/** The largest are cut to so many times the largest that is usual. */
const OVERSIZE = 1.2;
/** No mark, nor its number, is drawn further from its middle than this. */
const REACH_REM = 1.6;
const BUBBLE_ALPHA = 0.8;
/** From this radius on a bubble says its size. */
const BUBBLE_TEXT_REM = 0.68;

interface Mark {
  readonly bubble: Bubble;
  /** CSS pixels from the left edge of what is painted, and from the top. */
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

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
      drawMarks(scene, context, marksBetween(to, end, from, scene, bubbles, sizeMax), x, layout.plot - x);
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
      drawMarks(scene, context, marks, 0, count / ratio);
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

/** Circles are bought, diamonds sold, squares neither. */
function drawMarks({ palette, layout }: Scene, context: CanvasRenderingContext2D, marks: readonly Mark[], left: number, width: number): void {
  if (marks.length === 0) return;
  context.save();
  context.beginPath();
  context.rect(left, 0, width, layout.bottom);
  context.clip();
  context.strokeStyle = palette.panel;
  for (const { bubble, x, y, radius } of marks) {
    const { side } = bubble;
    context.fillStyle = side === "B" ? palette.bid : side === "A" ? palette.ask : palette.text;
    shape(context, side, x, y, radius);
    context.globalAlpha = BUBBLE_ALPHA;
    context.fill();
    context.globalAlpha = 1;
    // An outline as strong as that of a large mark would be all there is of a small one.
    context.lineWidth = Math.min(1.2, radius * 0.25);
    context.stroke();
  }
  drawSizes(context, palette, layout.rem, marks);
  context.restore();
}

/** Over all marks, so that none covers a number. */
function drawSizes(context: CanvasRenderingContext2D, palette: Palette, rem: number, marks: readonly Mark[]): void {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `700 ${rem * 0.66}px ${palette.font}`;
  context.lineWidth = rem * 0.18;
  context.lineJoin = "round";
  for (const { bubble, x, y, radius } of marks) {
    if (radius < BUBBLE_TEXT_REM * rem) break;
    const text = trimZeros(formatCompact(bubble.size));
    context.strokeStyle = palette.panel;
    context.strokeText(text, x, y + 0.5);
    context.fillStyle = palette.text;
    context.fillText(text, x, y + 0.5);
  }
}

/** The path of a trade's mark; a diamond and a square have the circle's area. */
function shape(context: CanvasRenderingContext2D, side: Bubble["side"], x: number, y: number, radius: number): void {
  context.beginPath();
  if (side === "B") {
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
