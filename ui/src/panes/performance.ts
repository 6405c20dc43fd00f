/** The performance page: numbers over time, one chart each. Loaded with uPlot when it is first looked at. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./performance.css";
import { make, setHidden, setText, setTitle } from "../dom";
import { CHARTS, writeValue, type ChartPlan } from "../performance-charts";
import type { Telemetry } from "../telemetry";
import { summaryOf, type Columns } from "../time-rows";
import { remPx, type Palette } from "./canvas";
import type { Pane, PaneContext } from "../pane";
import type { Tip } from "./tip";

const RANGES = [
  { minutes: 2, name: "2 min" },
  { minutes: 15, name: "15 min" },
  { minutes: 60, name: "1 h" },
  { minutes: 24 * 60, name: "All" },
] as const;
const RANGE_DEFAULT = 15;
/** Lines are told apart by their dashes, and not by colour alone: rem on, rem off. */
const DASHES = [[], [0.42, 0.21], [0.14, 0.14]] as const;
const LINE_REM = [0.12, 0.1, 0.1] as const;
/** Steps of axes that count things. */
const WHOLE_STEPS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8].flatMap((power) => [power, 2 * power, 5 * power]);
/** Cursors of all charts stand at the same time. */
const SYNC_KEY = "l3book";

/** All of them at once would be one long task. */
const CHARTS_PER_FRAME = 3;

export class PerformancePane implements Pane {
  readonly #telemetry: Telemetry;
  readonly #charts: readonly TimeChart[];
  readonly #note = make("p", "performance-note");
  readonly #ranges = make("div", "segmented");
  #minutes: number = RANGE_DEFAULT;
  readonly #root: HTMLElement;
  readonly #repaint: () => void;
  #drawn = "";
  /** Charts that do not yet show the newest sample. */
  #stale: TimeChart[] = [];

  constructor({ root, state, tip, repaint }: PaneContext) {
    this.#root = root;
    this.#repaint = repaint;
    this.#telemetry = state.telemetry;
    this.#ranges.role = "group";
    this.#ranges.ariaLabel = "Time shown";
    for (const { minutes, name } of RANGES) {
      const button = make("button", "", name);
      button.type = "button";
      button.dataset["minutes"] = String(minutes);
      button.addEventListener("click", () => {
        this.#minutes = minutes;
        this.#pressed();
        repaint();
      });
      this.#ranges.append(button);
    }
    this.#pressed();
    setText(this.#note, "A sample each second for 15 minutes, before that one a minute; kept in this page only; times are UTC.");
    const head = make("div", "performance-head");
    head.append(this.#note, this.#ranges);
    const grid = make("div", "performance-grid");
    this.#charts = CHARTS.map((plan) => new TimeChart(plan, tip));
    grid.append(...this.#charts.map((chart) => chart.element));
    root.append(head, grid);
  }

  paint(palette: Palette): void {
    // Nobody sees it while the book is on view; what has come meanwhile is drawn when it is opened again.
    if (this.#root.clientWidth === 0) return;
    const wanted = `${this.#telemetry.revision} ${this.#minutes} ${palette.text} ${palette.panel}`;
    if (wanted !== this.#drawn) {
      this.#drawn = wanted;
      this.#stale = [...this.#charts];
    }
    const sinceMs = Date.now() - this.#minutes * 60_000;
    for (const chart of this.#stale.splice(0, CHARTS_PER_FRAME)) {
      chart.draw(this.#telemetry.columns(sinceMs, chart.plan.lines.map(({ column }) => column)), palette);
    }
    if (this.#stale.length > 0) this.#repaint();
  }

  #pressed(): void {
    for (const button of this.#ranges.querySelectorAll("button")) {
      button.ariaPressed = String(button.dataset["minutes"] === String(this.#minutes));
    }
  }
}

/** One chart with the table of its numbers. */
class TimeChart {
  readonly element = make("figure", "panel time-chart");
  readonly plan: ChartPlan;
  readonly #tip: Tip;
  readonly #plot = make("div", "time-plot");
  readonly #none = make("p", "time-none", "nothing measured yet");
  readonly #cells: { readonly now: HTMLElement; readonly mean: HTMLElement; readonly max: HTMLElement }[] = [];
  readonly #when = make("th", "", "now");
  #columns: Columns = { x: [], y: [] };
  #palette: Palette | null = null;
  #chart: uPlot | null = null;
  /** What the sizes in the chart were made for. */
  #rem = 0;
  #isEmpty = true;

  constructor(plan: ChartPlan, tip: Tip) {
    this.plan = plan;
    this.#tip = tip;
    this.element.dataset["testid"] = `chart-${plan.name}`;
    const caption = make("figcaption");
    caption.append(make("h3", "", plan.title), make("span", "unit", plan.unit));
    this.#plot.role = "img";
    this.#plot.ariaLabel = `${plan.title} over time, ${plan.unit}; the numbers follow as a table`;
    this.#plot.append(this.#none);
    this.element.append(caption, this.#plot, this.#table());
    new ResizeObserver(() => {
      this.#resize();
    }).observe(this.#plot);
  }

  draw(columns: Columns, palette: Palette): void {
    const isFirst = this.#chart === null;
    const isRecoloured = this.#palette !== palette;
    this.#columns = columns;
    this.#palette = palette;
    const data = [columns.x, ...columns.y] as uPlot.AlignedData;
    this.#isEmpty = columns.y.every((values) => values.every((value) => value === null));
    setHidden(this.#none, !this.#isEmpty);
    if (isFirst) {
      this.#rem = remPx();
      this.#chart = new uPlot(this.#options(), data, this.#plot);
    } else this.#chart?.setData(data);
    if (isRecoloured && !isFirst) this.#chart?.redraw(false, true);
    this.#write();
  }

  /** Text and margins grow with the window, and uPlot takes them once. */
  #resize(): void {
    if (this.#chart === null || this.#palette === null || this.#plot.clientWidth === 0) return;
    if (remPx() === this.#rem) {
      this.#chart.setSize(this.#size());
      return;
    }
    this.#chart.destroy();
    this.#chart = null;
    this.draw(this.#columns, this.#palette);
  }

  #table(): HTMLTableElement {
    const table = make("table");
    const head = table.createTHead().insertRow();
    head.append(make("td"), this.#when, make("th", "", "mean"), make("th", "", "max"));
    const body = table.createTBody();
    this.plan.lines.forEach(({ name, column }, index) => {
      const row = body.insertRow();
      const heading = make("th", "", name);
      heading.scope = "row";
      heading.dataset["line"] = String(index);
      const cells = { now: row.insertCell(), mean: row.insertCell(), max: row.insertCell() };
      row.prepend(heading);
      row.dataset["column"] = column;
      this.#cells.push(cells);
    });
    for (const cell of head.querySelectorAll("th")) cell.scope = "col";
    return table;
  }

  /** The values at the cursor, or the newest ones. */
  #write(): void {
    const index = this.#chart?.cursor.idx ?? null;
    const at = index === null ? undefined : this.#columns.x[index];
    setText(this.#when, at === undefined ? "now" : clock(at));
    this.#cells.forEach((cells, line) => {
      const values = this.#columns.y[line] ?? [];
      const { last, mean, max } = summaryOf(values);
      this.#say(cells.now, index === null ? last : (values[index] ?? null));
      this.#say(cells.mean, mean);
      this.#say(cells.max, max);
    });
  }

  #say(cell: HTMLElement, value: number | null): void {
    setText(cell, writeValue(this.plan.cell, value));
    setTitle(cell, value === null ? "" : this.plan.exact(value));
  }

  #size(): { width: number; height: number } {
    return { width: this.#plot.clientWidth, height: this.#plot.clientHeight };
  }

  #options(): uPlot.Options {
    const rem = this.#rem;
    const palette = (): Palette | null => this.#palette;
    const axis = {
      stroke: () => palette()?.muted ?? "",
      // Whole px: uPlot multiplies what stands before "px" by the screen's density, and takes the decimals alone for it.
      font: `${Math.round(rem * 0.74)}px ${this.#palette?.font ?? "sans-serif"}`,
      grid: { stroke: () => palette()?.line ?? "", width: 1 },
      ticks: { show: false },
      border: { show: false },
    };
    return {
      ...this.#size(),
      legend: { show: false },
      // On the right half of a time that may stand at the end.
      padding: [rem * 0.6, rem * 1.8, 0, 0],
      cursor: { sync: { key: SYNC_KEY }, drag: { x: false, y: false }, y: false, points: { size: rem * 0.5 } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { x: { time: true }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        { ...axis, size: rem * 1.6, gap: rem * 0.2, space: rem * 6, values: (_, at) => at.map((s) => clock(s)) },
        { ...axis, ...(this.plan.isWhole ? { incrs: WHOLE_STEPS } : {}), size: rem * 4.4, gap: rem * 0.3, space: rem * 2.2, values: (_, at) => (this.#isEmpty ? at.map(() => "") : this.plan.ticks(at)) },
      ],
      series: [
        {},
        ...this.plan.lines.map((line, index) => ({
          label: line.name,
          stroke: () => strokeOf(palette(), index),
          width: rem * (LINE_REM[index] ?? 0.1),
          dash: (DASHES[index] ?? []).map((length) => length * rem),
          points: { show: (plot: uPlot) => plot.data[0].length < 3 },
        })),
      ],
      hooks: { setCursor: [(plot) => { this.#onCursor(plot); }] },
    };
  }

  #onCursor(plot: uPlot): void {
    this.#write();
    const { idx, left, top, event } = plot.cursor;
    const at = idx == null ? undefined : this.#columns.x[idx];
    // Of the synced charts, only the one under the pointer has the box beside it.
    const isHere = event?.target === plot.over && (left ?? -1) >= 0;
    if (at === undefined || idx == null || !isHere) {
      this.#tip.hide(this);
      return;
    }
    const box = plot.over.getBoundingClientRect();
    const values = this.plan.lines.map(({ name }, line) => `${name} ${writeValue(this.plan.exact, this.#columns.y[line]?.[idx] ?? null)}`);
    this.#tip.show(this, box.left + (left ?? 0), box.top + (top ?? 0), [`${clock(at)} UTC`, ...values]);
  }
}

function strokeOf(palette: Palette | null, index: number): string {
  if (palette === null) return "";
  return [palette.accent, palette.text, palette.muted][index] ?? palette.muted;
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(11, 19);
}
