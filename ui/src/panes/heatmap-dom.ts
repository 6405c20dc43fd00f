/** The elements of the heatmap's pane. */

import { make, setData } from "../dom";
import { paneHead } from "./pane-head";

export interface HeatmapElements {
  readonly view: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly note: HTMLElement;
  readonly ramp: HTMLCanvasElement;
  readonly rampEnd: HTMLElement;
  readonly window: HTMLElement;
  readonly follow: HTMLButtonElement;
  readonly nearer: HTMLButtonElement;
  readonly further: HTMLButtonElement;
  readonly summary: HTMLTableSectionElement;
}

const KEYS_LABEL =
  "Heatmap: arrow keys scroll, plus and minus zoom time, Page Up and Page Down zoom prices, Home the oldest, End follows the market, 0 resets, Escape gives the keys back to the page";

export function buildHeatmap(root: HTMLElement): HeatmapElements {
  const head = paneHead(root);
  const { legend, ramp, rampEnd } = buildLegend();
  const tools = make("div", "heatmap-tools");
  const window = make("span", "heatmap-window");
  window.title = "Time in view";
  setData(window, "testid", "heatmap-window");
  const further = button("heatmap-further", "−", "Show more time");
  const nearer = button("heatmap-nearer", "+", "Show less time");
  const follow = button("heatmap-follow", "Follow", "Keep the newest and the best prices in view (End)");
  tools.append(further, window, nearer, follow);
  head.append(legend, tools);

  const view = make("div", "heatmap-view");
  setData(view, "testid", "heatmap-view");
  view.tabIndex = 0;
  view.role = "group";
  view.ariaLabel = KEYS_LABEL;
  const canvas = make("canvas");
  setData(canvas, "testid", "heatmap-canvas");
  canvas.role = "img";
  canvas.ariaLabel = "Resting size by price over time (ts_recv), with the best prices and trades; a table of the largest levels follows";
  const note = make("p", "heatmap-note");
  view.append(canvas, note);
  const { table, body } = buildSummary();
  root.append(view, table);
  return { view, canvas, note, ramp, rampEnd, window, follow, nearer, further, summary: body };
}

function buildLegend(): { legend: HTMLElement } & Pick<HeatmapElements, "ramp" | "rampEnd"> {
  const legend = make("div", "heatmap-legend");
  const ramp = make("canvas", "heatmap-ramp");
  ramp.ariaHidden = "true";
  const rampEnd = make("span", "heatmap-ramp-end");
  setData(rampEnd, "testid", "heatmap-size-max");
  const sizes = make("span");
  sizes.title = "Size resting at a price";
  sizes.append("size 0", ramp, rampEnd);
  const line = (side: string, words: string): HTMLElement => {
    const item = make("span");
    item.append(make("span", `heatmap-line ${side}`), words);
    return item;
  };
  const mark = (side: string, sign: string, words: string): HTMLElement => {
    const item = make("span");
    item.append(make("span", `heatmap-mark ${side}`, sign), words);
    return item;
  };
  const time = make("span", "", "time: ts_recv");
  time.title = "All times are ts_recv, when the record was received from the venue, in UTC; equal widths are equal times";
  legend.append(sizes, line("bid", "best bid"), line("ask", "best ask"), mark("bid", "●", "bought"), mark("ask", "◆", "sold"), time);
  return { legend, ramp, rampEnd };
}

function buildSummary(): { table: HTMLElement; body: HTMLTableSectionElement } {
  const table = make("table", "visually-hidden");
  setData(table, "testid", "heatmap-summary");
  table.append(make("caption", "", "Best and largest resting levels now"));
  const head = make("thead");
  const row = make("tr");
  for (const name of ["Level", "Price", "Size"]) {
    const cell = make("th", "", name);
    cell.scope = "col";
    row.append(cell);
  }
  head.append(row);
  const body = make("tbody");
  table.append(head, body);
  return { table, body };
}

function button(id: string, text: string, title: string): HTMLButtonElement {
  const made = make("button", "", text);
  made.type = "button";
  made.title = title;
  if (text.length === 1) made.ariaLabel = title;
  setData(made, "testid", id);
  return made;
}
