/** A small time series of the last two minutes: the first line filled, the others thin. */

import { trimZeros } from "../format";
import { roundUp, SERIES_SPAN_MS, type Sample, type Series } from "../series";
import { Pointer, Surface, type Palette } from "./canvas";
import type { Tip } from "./tip";

/** Samples further apart than this are not joined: the page was not told what lay between. */
const GAP_MS = 3_500;
const FILL_ALPHA = 0.14;

export interface ChartLabels {
  /** Names of the lines, in the order of the series. */
  readonly lines: readonly string[];
  /** Writes a value with its unit. */
  readonly format: (value: number) => string;
}

export class Chart {
  readonly #surface: Surface;
  readonly #pointer: Pointer;
  readonly #series: Series;
  readonly #labels: ChartLabels;
  readonly #tip: Tip;

  constructor(canvas: HTMLCanvasElement, series: Series, labels: ChartLabels, tip: Tip, repaint: () => void, onPointer: () => void) {
    this.#surface = new Surface(canvas, repaint);
    this.#pointer = new Pointer(canvas, onPointer);
    this.#series = series;
    this.#labels = labels;
    this.#tip = tip;
  }

  paint(nowMs: number, palette: Palette): void {
    const context = this.#surface.begin();
    const { width, height, rem } = this.#surface;
    if (width === 0) return;
    const [top, bottom] = [rem * 1.1, height - rem * 1.15];
    const valueMax = roundUp(this.#series.max());
    const x = (atMs: number): number => width * (1 - (nowMs - atMs) / SERIES_SPAN_MS);
    const y = (value: number): number => bottom - (value / valueMax) * (bottom - top);
    this.#axes(context, palette, valueMax, top, bottom);
    for (let index = this.#series.lines - 1; index >= 0; index -= 1) {
      const colour = index === 0 ? palette.accent : palette.accentDim;
      for (const run of runs(this.#series.samples, index)) this.#run(context, run, x, y, bottom, colour, index === 0);
    }
    this.#hover(context, palette, x, y, top, bottom);
  }

  #axes(context: CanvasRenderingContext2D, palette: Palette, valueMax: number, top: number, bottom: number): void {
    const { width, rem } = this.#surface;
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    for (const y of [top, (top + bottom) / 2, bottom]) {
      context.beginPath();
      context.moveTo(0, Math.round(y) + 0.5);
      context.lineTo(width, Math.round(y) + 0.5);
      context.stroke();
    }
    context.font = `${rem * 0.72}px ${palette.font}`;
    context.fillStyle = palette.muted;
    context.textBaseline = "middle";
    context.textAlign = "left";
    if (this.#series.max() > 0) context.fillText(trimZeros(this.#labels.format(valueMax)), 0, top - rem * 0.55);
    context.fillText("−2 min", 0, bottom + rem * 0.65);
    context.textAlign = "center";
    context.fillText("−1 min", width / 2, bottom + rem * 0.65);
    context.textAlign = "right";
    context.fillText("now", width, bottom + rem * 0.65);
  }

  #run(
    context: CanvasRenderingContext2D,
    run: readonly Point[],
    x: (atMs: number) => number,
    y: (value: number) => number,
    bottom: number,
    colour: string,
    filled: boolean,
  ): void {
    const [first] = run;
    const last = run.at(-1);
    if (first === undefined || last === undefined) return;
    context.strokeStyle = context.fillStyle = colour;
    if (run.length === 1) {
      context.fillRect(x(first.atMs) - 1, y(first.value) - 1, 2, 2);
      return;
    }
    const path = new Path2D();
    for (const point of run) path.lineTo(x(point.atMs), y(point.value));
    context.lineWidth = Math.max(1.25, this.#surface.rem * (filled ? 0.1 : 0.07));
    context.lineJoin = "round";
    context.stroke(path);
    if (!filled) return;
    path.lineTo(x(last.atMs), bottom);
    path.lineTo(x(first.atMs), bottom);
    context.globalAlpha = FILL_ALPHA;
    context.fill(path);
    context.globalAlpha = 1;
  }

  #hover(
    context: CanvasRenderingContext2D,
    palette: Palette,
    x: (atMs: number) => number,
    y: (value: number) => number,
    top: number,
    bottom: number,
  ): void {
    const sample = this.#pointer.inside ? nearest(this.#series.samples, this.#pointer.x, x) : null;
    if (sample === null) {
      this.#tip.hide(this);
      return;
    }
    const at = x(sample.atMs);
    context.strokeStyle = palette.muted;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(Math.round(at) + 0.5, top);
    context.lineTo(Math.round(at) + 0.5, bottom);
    context.stroke();
    context.fillStyle = palette.accent;
    const [value] = sample.values;
    if (value !== null && value !== undefined) {
      context.beginPath();
      context.arc(at, y(value), this.#surface.rem * 0.24, 0, 2 * Math.PI);
      context.fill();
    }
    const box = this.#surface.canvas.getBoundingClientRect();
    const lines = this.#labels.lines.map((name, index) => {
      const each = sample.values[index];
      return `${name} ${each === null || each === undefined ? "not measured" : this.#labels.format(each)}`;
    });
    this.#tip.show(this, box.left + this.#pointer.x, box.top + this.#pointer.y, lines);
  }
}

interface Point {
  readonly atMs: number;
  readonly value: number;
}

/** The stretches of one line without a gap. */
export function runs(samples: readonly Sample[], line: number): Point[][] {
  const found: Point[][] = [];
  let previousMs = -Infinity;
  for (const sample of samples) {
    const value = sample.values[line];
    if (value === null || value === undefined) {
      previousMs = -Infinity;
      continue;
    }
    if (sample.atMs - previousMs > GAP_MS) found.push([]);
    found.at(-1)?.push({ atMs: sample.atMs, value });
    previousMs = sample.atMs;
  }
  return found;
}

function nearest(samples: readonly Sample[], px: number, x: (atMs: number) => number): Sample | null {
  let best: Sample | null = null;
  for (const sample of samples) {
    if (best === null || Math.abs(x(sample.atMs) - px) < Math.abs(x(best.atMs) - px)) best = sample;
  }
  return best;
}
