/** The liquidity heatmap: resting size by price over time, best prices, trades. */

import "./heatmap.css";
import { make, setData, setHidden, setText } from "../dom";
import { formatUptime, MISSING } from "../format";
import type { Trade } from "../feed/feed";
import type { Book } from "../feed/wire";
import { heatRamp, luminance, type Rgb } from "../heatmap-ramp";
import { middleOf, PriceRange, type PriceSpan } from "../heatmap-range";
import { HeatmapRecord, type MarketTime } from "../heatmap-record";
import { HeatmapPast } from "../heatmap-past";
import { HEAT_PERCENTILE, percentile, SteadyMax } from "../heatmap-scale";
import { clock, NS_PER_S } from "../heatmap-time";
import { Bubbles } from "../heatmap-trades";
import { TimeView } from "../heatmap-view";
import { bubbleLine, emptyNote, pricesOf, restingLines, scaleEnd, summaryRows, tradedLine } from "../heatmap-words";
import type { ReplayCommands } from "../replay-commands";
import type { State } from "../state";
import type { TradesBefore } from "../trades-before";
import { Pointer, Surface, type Palette } from "./canvas";
import * as draw from "./heatmap-canvas";
import { BubbleLayer } from "./heatmap-bubbles";
import { buildHeatmap } from "./heatmap-dom";
import { drawBeyond } from "./heatmap-beyond-mark";
import { drawRecorded } from "./heatmap-recorded-mark";
import { Gestures } from "./heatmap-gestures";
import { Picture, type PictureColours } from "./heatmap-picture";
import type { Pane, PaneContext } from "../pane";
import type { Tip } from "./tip";

const TIME_AXIS_REM = 1.45;
/** The bars of the book of now: a share of the width, within limits, and none on a narrow page. */
const BAND_SHARE = 0.1;
const BAND_MAX_REM = 7;
const BAND_MIN_WIDTH_REM = 34;
/** Trades of a side within such a square are one bubble. */
const BUBBLE_CELL_REM = 1.15;
const MEASURE_INTERVAL_MS = 1_000;
/** Sizes of so many columns, spread over the view, make the scale. */
const MEASURED_COLUMNS = 40;
const BUBBLE_PERCENTILE = 0.97;

export class HeatmapPane implements Pane {
  readonly isMoving = true;
  readonly #state: State;
  readonly #tip: Tip;
  readonly #repaint: () => void;
  readonly #elements: ReturnType<typeof buildHeatmap>;
  readonly #surface: Surface;
  readonly #pointer: Pointer;
  readonly #picture = new Picture();
  readonly #range = new PriceRange();
  readonly #record = new HeatmapRecord((factor) => {
    this.#range.refine(factor);
  });
  readonly #past: HeatmapPast;
  readonly #replay: ReplayCommands;
  readonly #view = new TimeView(this.#record.columns);
  readonly #bubbles = new Bubbles();
  readonly #marks = new BubbleLayer();
  readonly #sizeMax = new SteadyMax();
  readonly #bubbleMax = new SteadyMax();
  #measured = new Float64Array(0);
  #measuredAtMs = -Infinity;
  #rangedAtMs = -Infinity;
  #summarisedAtMs = -Infinity;
  #selected: string | null;
  #palette: Palette | null = null;
  #ramp: readonly Rgb[] = [];
  #layout: draw.Layout | null = null;
  #generation = -1;
  #beginning = -1;
  #bubbleCell = "";
  /** Pixel columns painted so far, for tests and for who wonders what a frame costs. */
  #painted = 0;

  constructor(page: PaneContext) {
    this.#state = page.state;
    this.#selected = page.state.selected;
    this.#tip = page.tip;
    this.#repaint = () => { page.repaint(); };
    this.#replay = page.actions.replay;
    this.#past = new HeatmapPast(this.#record, (path) => page.actions.request(path), this.#repaint);
    const elements = (this.#elements = buildHeatmap(page.root));
    this.#surface = new Surface(elements.canvas, () => {
      this.#layout = null;
      page.repaint();
    });
    this.#pointer = new Pointer(elements.canvas, () => { page.onPointer(); }, true);
    new Gestures(elements.view, {
      zoomTime: (steps, x) => { this.#zoomTime(steps, x); },
      zoomPrice: (steps, y) => { this.#changeRange(() => { this.#range.zoom(steps, y); }); },
      pan: (dx, dy) => { this.#pan(dx, dy); },
      follow: () => { this.#follow(); },
      reset: () => { this.#resetView(); },
      isOverPrices: (x) => this.#layout !== null && x > this.#layout.plot,
    });
    const onClick = (button: HTMLButtonElement, act: () => void): void => { button.addEventListener("click", act); };
    onClick(elements.follow, () => { this.#follow(); });
    onClick(elements.nearer, () => { this.#zoomTime(1, (this.#layout?.plot ?? 0) / 2); });
    onClick(elements.further, () => { this.#zoomTime(-1, (this.#layout?.plot ?? 0) / 2); });
  }

  takeDepth(book: Book, isSnapshot: boolean): void {
    this.#record.takeDepth(book, isSnapshot, performance.now());
  }

  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    this.#record.takeTrades(trades, isSnapshot);
  }

  takeTradesBefore(before: TradesBefore): void {
    this.#record.takeTradesBefore(before);
  }

  /** A new epoch leaves a gap; of another time, which the state has forgotten, what was before it stays; of another instrument, nothing. */
  reset(): void {
    const { book, selected } = this.#state;
    if (selected !== this.#selected) this.#record.clear();
    else if (book === null) this.#record.move(performance.now());
    else this.#record.reset();
    this.#selected = selected;
  }

  write(state: State, nowMs: number): void {
    this.#record.advance(nowMs, timeOf(state));
    this.#past.refresh(state, this.#replay.line, nowMs);
    const elements = this.#elements;
    const follows = this.#view.follows && this.#range.follows;
    elements.follow.ariaPressed = String(follows);
    const { columns } = this.#record;
    setText(elements.window, columns.length === 0 ? MISSING : formatWindow(this.#view.windowNs));
    setHidden(elements.note, columns.length > 0);
    setText(elements.note, emptyNote(state.problems.get("depth")));
    setData(elements.view, "columns", String(columns.length));
    setData(elements.view, "from", String(columns.tsRecv(columns.first)));
    setData(elements.view, "until", String(columns.tsOf(columns.until)));
    setData(elements.view, "recorded", String(this.#recordedSeconds));
    setData(elements.view, "painted", String(this.#painted));
    setData(elements.view, "levels", String(columns.length === 0 ? 0 : columns.levelsMax(columns.end - 1)));
    setData(elements.view, "follows", follows ? "yes" : "no");
    if (nowMs - this.#summarisedAtMs >= MEASURE_INTERVAL_MS) {
      this.#summarisedAtMs = nowMs;
      this.#writeSummary();
    }
  }

  paint(palette: Palette, nowMs: number): void {
    this.#record.advance(nowMs, timeOf(this.#state));
    if (palette !== this.#palette) this.#recolour(palette);
    const context = this.#surface.begin();
    const { columns } = this.#record;
    if (this.#generation !== this.#record.generation) this.#restart();
    if (columns.length === 0 || this.#surface.width === 0) {
      this.#layout = null;
      this.#tip.hide(this);
      return;
    }
    this.#followMarket(nowMs);
    const layout = (this.#layout ??= this.#measureLayout(context, palette));
    const scene: draw.Scene = { context, palette, layout, columns, view: this.#view, range: this.#range };
    this.#fitTime(layout);
    this.#mergeTrades(scene);
    this.#measureSizes(nowMs);
    this.#paintPicture(layout);
    drawRecorded(scene, this.#record.recordedTo);
    drawBeyond(scene);
    draw.drawGrid(scene);
    draw.drawBars(scene);
    this.#marks.draw(scene, this.#bubbles, this.#bubbleMax.value);
    draw.drawBest(scene);
    this.#hover(scene);
  }

  /** How much of what is shown is from the recording. */
  get #recordedSeconds(): number {
    const { columns, recordedTo } = this.#record;
    if (recordedTo === null || recordedTo <= columns.first) return 0;
    return Math.round((columns.at(recordedTo) - columns.at(columns.first)) / NS_PER_S);
  }

  #restart(): void {
    this.#generation = this.#record.generation;
    if (this.#beginning !== this.#record.beginning) this.#view.follow();
    this.#beginning = this.#record.beginning;
    this.#picture.invalidate();
    this.#bubbleCell = "";
    this.#record.placed = [];
    this.#layout = null;
    this.#measuredAtMs = -Infinity;
    if (this.#record.columns.length > 0) return;
    this.#range.clear();
    this.#view.follow();
    this.#sizeMax.clear();
    this.#bubbleMax.clear();
    setText(this.#elements.rampEnd, "");
  }

  #recolour(palette: Palette): void {
    this.#palette = palette;
    const context = this.#surface.context;
    const rgb = (colour: string): Rgb => {
      context.fillStyle = colour;
      const hex = context.fillStyle;
      return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
    };
    const background = rgb(palette.panel);
    this.#ramp = heatRamp(luminance(background) > 0.5, background);
    const warn = getComputedStyle(document.documentElement).getPropertyValue("--warn").trim();
    const colours: PictureColours = {
      ramp: this.#ramp,
      bid: rgb(palette.bid),
      ask: rgb(palette.ask),
      background,
      hatch: rgb(palette.accentDim),
      warn: rgb(warn),
    };
    this.#picture.recolour(colours);
    this.#paintRamp();
  }

  #paintRamp(): void {
    const { ramp } = this.#elements;
    [ramp.width, ramp.height] = [this.#ramp.length, 1];
    const context = ramp.getContext("2d");
    this.#ramp.forEach(([red, green, blue], x) => {
      if (context === null) return;
      context.fillStyle = `rgb(${red} ${green} ${blue})`;
      context.fillRect(x, 0, 1, 1);
    });
  }

  /** Rows fit the height, and prices go after the market; what of it is in view is looked through once a second. */
  #followMarket(nowMs: number): void {
    const { columns } = this.#record;
    const last = columns.end - 1;
    const heightPx = this.#surface.height - TIME_AXIS_REM * this.#surface.rem;
    this.#range.resize(Math.max(1, heightPx));
    const middle = middleOf(columns, last);
    if (middle === null) return;
    const isDue = nowMs - this.#rangedAtMs >= MEASURE_INTERVAL_MS;
    if (isDue) this.#rangedAtMs = nowMs;
    const best = (): PriceSpan | null => columns.bestSpan(...this.#view.span);
    const isToFit = this.#range.isAutomatic || this.#range.isLeft(middle) || (isDue && this.#range.isOutgrown(columns, last, best()));
    if (isToFit) this.#range.fit(columns, last, best());
    else if (this.#range.isFitted || !this.#range.follow(middle)) return;
    this.#picture.invalidate();
    this.#bubbleCell = "";
    this.#measuredAtMs = -Infinity;
    this.#layout = null;
  }

  #measureLayout(context: CanvasRenderingContext2D, palette: Palette): draw.Layout {
    const { width, height, rem, ratio } = this.#surface;
    const axis = draw.priceAxisWidth(context, palette, this.#record.columns, this.#range, rem);
    const band = Math.max(1, width - axis);
    const bars = width < BAND_MIN_WIDTH_REM * rem ? 0 : Math.min(BAND_MAX_REM * rem, width * BAND_SHARE);
    const plot = Math.max(1, Math.round((band - bars) * ratio)) / ratio;
    const bottom = Math.max(1, Math.round((height - TIME_AXIS_REM * rem) * ratio)) / ratio;
    this.#picture.resize(Math.round(plot * ratio), Math.round(bottom * ratio));
    return { plot, band: bars === 0 ? plot : band, width, bottom, height, rem, ratio };
  }

  #fitTime({ plot, ratio }: draw.Layout): void {
    if (this.#view.fit(Math.round(plot * ratio), this.#record.pace)) this.#rescaled();
    if (!this.#view.follows) this.#view.scroll(0);
  }

  #rescaled(): void {
    this.#picture.invalidate();
    this.#bubbleCell = "";
    this.#measuredAtMs = -Infinity;
  }

  /** The scales of colours and bubbles, once a second from what is in view. */
  #measureSizes(nowMs: number): void {
    if (nowMs - this.#measuredAtMs < MEASURE_INTERVAL_MS) return;
    this.#measuredAtMs = nowMs;
    const bubbles = Float64Array.from(this.#bubbles.all, ({ size }) => size);
    this.#bubbleMax.propose(percentile(bubbles, bubbles.length, BUBBLE_PERCENTILE));
    const { columns } = this.#record;
    const { rows, bottom, rowTicks } = this.#range;
    const [from, to] = this.#view.span;
    if (this.#measured.length < rows * MEASURED_COLUMNS) this.#measured = new Float64Array(rows * MEASURED_COLUMNS);
    const binned = new Float64Array(rows);
    let count = 0;
    const step = Math.max(1, Math.floor((to - from) / MEASURED_COLUMNS));
    for (let column = to - 1, taken = 0; column >= from && taken < MEASURED_COLUMNS; column -= step, taken += 1) {
      binned.fill(0);
      columns.bin(column, binned, bottom, rowTicks);
      for (const size of binned) if (size > 0) this.#measured[count++] = size;
    }
    if (!this.#sizeMax.propose(percentile(this.#measured, count, HEAT_PERCENTILE))) return;
    this.#picture.invalidate();
    setText(this.#elements.rampEnd, scaleEnd(this.#sizeMax.value));
  }

  #paintPicture({ ratio }: draw.Layout): void {
    const { columns, changedFrom } = this.#record;
    const { nsPerPx, endPx } = this.#view;
    if (changedFrom < Infinity) this.#picture.changed(changedFrom, nsPerPx);
    this.#record.changedFrom = Infinity;
    const view = { columns, nsPerPx, range: this.#range, sizeMax: this.#sizeMax.value, ratio };
    this.#painted += this.#picture.render(endPx, view);
    const { context } = this.#surface;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    this.#picture.copyTo(context, endPx);
    context.restore();
  }

  #mergeTrades(scene: draw.Scene): void {
    const { rem, ratio } = scene.layout;
    const cellPx = BUBBLE_CELL_REM * rem;
    const nsPerCell = Math.round(cellPx * ratio) * this.#view.nsPerPx;
    const ticksPerCell = Math.max(1, Math.ceil((cellPx * this.#range.rowTicks) / this.#range.rowPx));
    const cell = `${nsPerCell}:${ticksPerCell}`;
    let changedFrom = Infinity;
    if (cell === this.#bubbleCell) {
      for (const trade of this.#record.placed) {
        this.#bubbles.add(trade);
        changedFrom = Math.min(changedFrom, trade.at);
      }
    } else {
      this.#bubbles.rebuild(this.#record.trades, nsPerCell, ticksPerCell);
      changedFrom = -Infinity;
    }
    if (changedFrom < Infinity) this.#marks.changed(changedFrom, scene, this.#bubbles);
    this.#bubbleCell = cell;
    this.#record.placed = [];
    const { columns } = this.#record;
    this.#bubbles.forgetBefore(columns.at(columns.first));
  }

  #hover(scene: draw.Scene): void {
    const { layout, view, columns, range } = scene;
    const { x, y, inside } = this.#pointer;
    if (!inside || x >= layout.band || y >= layout.bottom || y < 0) {
      this.#tip.hide(this);
      return;
    }
    const row = range.rowAt(y);
    const [from, to] = [row * range.rowTicks, (row + 1) * range.rowTicks];
    const isNow = x >= layout.plot;
    const at = draw.pxAt(x, view, layout) * view.nsPerPx;
    const shown = [at, at + view.nsPerPx] as const;
    const column = isNow ? columns.end - 1 : this.#columnShown(shown, from, to);
    const time = isNow ? null : clock(columns.tsOf(at), true);
    draw.drawCross(scene, x, row, columns.grid.price(from), time);
    const lines = columns.has(column) ? restingLines(columns, column, from, to) : [pricesOf(columns, from, to), "before the page began to look"];
    const bubble = this.#marks.at(x, y, scene, this.#bubbles, this.#bubbleMax.value);
    if (bubble !== null) lines.splice(1, 0, bubbleLine(bubble, columns.grid.price(Math.round(bubble.ticks))));
    else if (!isNow) lines.splice(1, 0, ...tradedLine(this.#record.trades.traded(...shown, from, to)));
    const box = this.#surface.canvas.getBoundingClientRect();
    this.#tip.show(this, box.left + x, box.top + y, lines);
  }

  /** Where a pixel holds several columns: the one whose size it shows. */
  #columnShown(shown: readonly [from: number, to: number], from: number, to: number): number {
    const { columns } = this.#record;
    const [first, end] = columns.within(...shown);
    let best = end - 1;
    let most = -1;
    for (let column = first; column < end; column += 1) {
      const { bidSize, askSize } = columns.resting(column, from, to);
      if (columns.kind(column) === "gap" || bidSize + askSize <= most) continue;
      [best, most] = [column, bidSize + askSize];
    }
    return first < end ? best : columns.first - 1;
  }

  #writeSummary(): void {
    const rows = summaryRows(this.#record.columns);
    const { summary } = this.#elements;
    while (summary.rows.length > rows.length) summary.deleteRow(-1);
    rows.forEach(({ what, price, size }, index) => {
      let row = summary.rows.item(index);
      if (row === null) {
        row = summary.insertRow();
        row.append(make("th"), make("td"), make("td"));
      }
      [what, price, size].forEach((text, at) => {
        const cell = row.cells.item(at);
        if (cell !== null) setText(cell, text);
      });
    });
  }

  #zoomTime(steps: number, x: number): void {
    const { ratio, plot } = this.#layout ?? { ratio: 1, plot: 1 };
    if (this.#view.zoom(steps, Math.round(Math.min(x, plot) * ratio))) this.#rescaled();
    this.#repaint();
  }

  #changeRange(change: () => void): void {
    change();
    this.#layout = null;
    this.#rescaled();
    this.#repaint();
  }

  #pan(dx: number, dy: number): void {
    this.#view.scroll(dx * (this.#layout?.ratio ?? 1));
    const rows = this.#draggedRows(dy);
    if (rows !== 0) this.#changeRange(() => { this.#range.scroll(rows); });
    this.#repaint();
  }

  #restPx = 0;

  /** Prices move by whole rows; what is left over waits for the next move. */
  #draggedRows(dy: number): number {
    this.#restPx += dy;
    const rows = Math.trunc(this.#restPx / this.#range.rowPx);
    this.#restPx -= rows * this.#range.rowPx;
    return rows;
  }

  #follow(): void {
    this.#view.follow();
    this.#range.follows = true;
    const middle = middleOf(this.#record.columns, this.#record.columns.end - 1);
    this.#changeRange(() => { if (middle !== null) this.#range.centre = middle; });
  }

  #resetView(): void {
    this.#view.clear();
    this.#range.clear();
    this.#repaint();
  }
}

/** "45 s", "1 min 00 s", "200 ms". */
function formatWindow(ns: number): string {
  const seconds = ns / NS_PER_S;
  return seconds < 0.999 ? `${Math.round(seconds * 1_000)} ms` : formatUptime(Math.round(seconds));
}

/** Whether time goes on for the book on view, and how fast. */
function timeOf({ link, problems, replay, metrics }: State): MarketTime {
  const [paceMax, told] = [replay?.speed ?? 1, replay?.ts ?? null];
  const flow = (): MarketTime["flow"] => {
    if (link.state !== "open" || problems.has("depth") || problems.has("book")) return "cut";
    if (replay !== null) return replay.state === "playing" ? "moving" : "held";
    const source = metrics?.source.state;
    return source === "ended" || source === "failed" ? "held" : "moving";
  };
  return { flow: flow(), paceMax, told };
}
