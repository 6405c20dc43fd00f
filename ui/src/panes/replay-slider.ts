/** The line of what is recorded: shows where the page stands in it, and takes it elsewhere. */

import { make } from "../dom";
import { formatTime } from "../format";
import { timeMarks, type RecordedLine, type TimeMark } from "../replay-line";
import { formatSpan } from "../replay-time";
import { Pointer, Surface, type Palette } from "./canvas";
import type { Tip } from "./tip";

/** A line that is dragged asks for the place under the pointer this often. */
const DRAG_INTERVAL_MS = 100;
/** Page up and page down go by this share of the line. */
const PAGE_SHARE = 0.05;
const MARK_WIDTH_REM = 6.5;
const HATCH_PX = 6;

export interface SliderHandlers {
  readonly seek: (at: bigint) => void;
  readonly repaint: () => void;
  readonly onPointer: () => void;
}

export class ReplaySlider {
  readonly element = make("div", "replay-line");
  readonly #canvas = make("canvas");
  readonly #surface: Surface;
  readonly #pointer: Pointer;
  readonly #tip: Tip;
  readonly #handlers: SliderHandlers;
  #line: RecordedLine | null = null;
  #marks: readonly TimeMark[] = [];
  #marksApart = 0;
  #shown: bigint | null = null;
  #dragged: bigint | null = null;
  /** Where the pointer was when a place was asked for last. */
  #askedX = NaN;
  #askedAtMs = 0;

  constructor(tip: Tip, handlers: SliderHandlers) {
    this.#tip = tip;
    this.#handlers = handlers;
    this.#canvas.ariaHidden = "true";
    this.element.append(this.#canvas);
    this.element.dataset["testid"] = "replay-slider";
    this.element.role = "slider";
    this.element.ariaLabel = "Recorded time";
    this.element.ariaValueMin = "0";
    this.element.ariaValueMax = "1000";
    this.element.ariaOrientation = "horizontal";
    this.#surface = new Surface(this.#canvas, handlers.repaint);
    this.#pointer = new Pointer(this.#canvas, handlers.onPointer);
    this.#listen();
  }

  setLine(line: RecordedLine | null): void {
    this.#line = line === null || line.isEmpty ? null : line;
    this.#marksApart = 0;
    this.element.tabIndex = this.#line === null ? -1 : 0;
    this.element.ariaDisabled = String(this.#line === null);
  }

  /** `ns`: the time shown; null: live, at the end of the line. `words`: what the page does with it. */
  write(ns: bigint | null, words: string): void {
    this.#shown = ns;
    const at = this.#dragged ?? ns ?? this.#line?.end ?? null;
    const x = at === null || this.#line === null ? 1 : this.#line.xOf(at);
    const now = String(Math.round(x * 1000));
    const text = at === null ? words : `${formatTime(at.toString()).short}, ${words}`;
    if (this.element.ariaValueNow !== now) this.element.ariaValueNow = now;
    if (this.element.ariaValueText !== text) this.element.ariaValueText = text;
  }

  paint(palette: Palette): void {
    const context = this.#surface.begin();
    const { width, rem } = this.#surface;
    const line = this.#line;
    if (width === 0 || line === null) {
      this.#tip.hide(this);
      return;
    }
    const at = this.#dragged ?? this.#shown;
    const headX = at === null ? 1 : line.xOf(at);
    const [top, height] = [rem * 0.55, rem * 0.5];
    this.#stretches(context, palette, line, headX, top, height);
    this.#holes(context, palette, line, top, height);
    this.#scale(context, palette, line, top + height);
    const x = Math.min(width - rem * 0.4, Math.max(rem * 0.4, headX * width));
    context.fillStyle = context.strokeStyle = palette.text;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, top + height / 2, rem * 0.38, 0, 2 * Math.PI);
    context.fill();
    this.#hover(context, palette, line, top, height);
  }

  #stretches(context: CanvasRenderingContext2D, palette: Palette, line: RecordedLine, headX: number, top: number, height: number): void {
    const { width } = this.#surface;
    for (const { x0, x1 } of line.stretches) {
      const [from, to] = [x0 * width, Math.max(x0 * width + 1, x1 * width)];
      context.fillStyle = palette.accentDim;
      context.globalAlpha = 0.5;
      context.fillRect(from, top, to - from, height);
      context.globalAlpha = 1;
      context.fillStyle = palette.accent;
      const played = Math.min(to, headX * width);
      if (played > from) context.fillRect(from, top, played - from, height);
    }
  }

  /** Times whose records are missing: cut out, and hatched. */
  #holes(context: CanvasRenderingContext2D, palette: Palette, line: RecordedLine, top: number, height: number): void {
    const { width } = this.#surface;
    for (const hole of line.holes) {
      const from = line.xOf(hole.start) * width;
      const to = Math.max(from + 2, line.xOf(hole.end) * width);
      context.save();
      context.beginPath();
      context.rect(from, top, to - from, height);
      context.clip();
      context.fillStyle = palette.panel;
      context.fillRect(from, top, to - from, height);
      context.strokeStyle = palette.text;
      context.lineWidth = 1;
      context.beginPath();
      for (let x = from - height; x < to; x += HATCH_PX) {
        context.moveTo(x, top + height);
        context.lineTo(x + height, top);
      }
      context.stroke();
      context.restore();
    }
  }

  #scale(context: CanvasRenderingContext2D, palette: Palette, line: RecordedLine, bottom: number): void {
    const { width, rem } = this.#surface;
    const apart = (MARK_WIDTH_REM * rem) / width;
    if (apart !== this.#marksApart) {
      this.#marks = timeMarks(line, apart);
      this.#marksApart = apart;
    }
    context.font = `${rem * 0.72}px ${palette.font}`;
    context.textBaseline = "top";
    context.textAlign = "center";
    context.strokeStyle = palette.muted;
    context.fillStyle = palette.muted;
    context.lineWidth = 1;
    context.beginPath();
    for (const { x, text } of this.#marks) {
      const half = context.measureText(text).width / 2;
      const at = Math.round(x * width) + 0.5;
      context.moveTo(at, bottom);
      context.lineTo(at, bottom + rem * 0.22);
      context.fillText(text, Math.min(width - half, Math.max(half, at)), bottom + rem * 0.3);
    }
    context.stroke();
  }

  #hover(context: CanvasRenderingContext2D, palette: Palette, line: RecordedLine, top: number, height: number): void {
    const { x, inside } = this.#pointer;
    if (!inside && this.#dragged === null) {
      this.#tip.hide(this);
      return;
    }
    const at = this.#dragged ?? line.timeAt(x / this.#surface.width);
    const place = Math.round(line.xOf(at) * this.#surface.width) + 0.5;
    context.strokeStyle = palette.text;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(place, top - 3);
    context.lineTo(place, top + height + 3);
    context.stroke();
    const time = formatTime(at.toString());
    const lines = [time.exact, `${formatSpan(line.end - at)} before the newest record`];
    const beside = line.holes.find((hole) => hole.start === at || hole.end === at);
    if (beside !== undefined) lines.push(holeText(beside));
    const stretch = line.stretches.find((each) => each.start <= at && at <= each.end);
    if (line.stretches.length > 1 && stretch !== undefined) lines.push(stretch.source);
    const box = this.#canvas.getBoundingClientRect();
    this.#tip.show(this, box.left + this.#pointer.x, box.top + this.#pointer.y, lines);
  }

  #listen(): void {
    const { element } = this;
    element.addEventListener("pointerdown", (event) => {
      if (this.#line === null || event.button !== 0) return;
      // By the canvas, whose pointer places the tip: the element around it hears of all that, too.
      this.#canvas.setPointerCapture(event.pointerId);
      this.#askedX = NaN;
      this.#drag(event.clientX, true);
    });
    element.addEventListener("pointermove", (event) => {
      if (this.#canvas.hasPointerCapture(event.pointerId)) this.#drag(event.clientX, false);
    });
    element.addEventListener("pointerup", (event) => {
      if (this.#dragged === null) return;
      this.#drag(event.clientX, true);
      this.#dragged = null;
    });
    element.addEventListener("pointercancel", () => {
      this.#dragged = null;
    });
    element.addEventListener("keydown", (event) => {
      const at = event.ctrlKey || event.metaKey || event.altKey ? null : this.#keyed(event.key);
      if (at === null) return;
      event.preventDefault();
      event.stopPropagation();
      this.#handlers.seek(at);
    });
  }

  #drag(clientX: number, atOnce: boolean): void {
    const box = this.#canvas.getBoundingClientRect();
    if (this.#line === null || box.width === 0) return;
    this.#dragged = this.#line.timeAt((clientX - box.left) / box.width);
    this.#handlers.onPointer();
    const nowMs = performance.now();
    if (!atOnce && nowMs - this.#askedAtMs < DRAG_INTERVAL_MS) return;
    // A click goes down and up at one place.
    if (clientX === this.#askedX) return;
    this.#askedX = clientX;
    this.#askedAtMs = nowMs;
    this.#handlers.seek(this.#dragged);
  }

  /** Arrows are those of the whole page: one event, and with Shift one second. */
  #keyed(key: string): bigint | null {
    const line = this.#line;
    if (line === null) return null;
    const x = line.xOf(this.#shown ?? line.end);
    switch (key) {
      case "Home":
        return line.start;
      case "End":
        return line.end;
      case "PageUp":
        return line.timeAt(Math.min(1, x + PAGE_SHARE));
      case "PageDown":
        return line.timeAt(Math.max(0, x - PAGE_SHARE));
      default:
        return null;
    }
  }
}

function holeText(hole: { readonly records: number; readonly reason: string }): string {
  return `${hole.records} records are missing here: ${hole.reason}`;
}
