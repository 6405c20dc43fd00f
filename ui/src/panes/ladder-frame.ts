/** The elements of the ladder pane. */

import { make } from "../dom";
import { FLOW_WINDOW_S } from "../flow";
import { LADDER_DEPTHS } from "../preferences";
import type { Column } from "./ladder-table";

export interface LadderFrame {
  /** Which columns have no room, and how one comes to what they tell. */
  readonly leftOut: HTMLElement;
  readonly leftOutHow: HTMLElement;
  readonly coarser: HTMLButtonElement;
  readonly finer: HTMLButtonElement;
  readonly grouping: HTMLElement;
  readonly groupingControl: HTMLElement;
  readonly every: HTMLButtonElement;
  readonly compact: HTMLButtonElement;
  readonly depthControl: HTMLElement;
  readonly depths: readonly HTMLButtonElement[];
  readonly clear: HTMLButtonElement;
  readonly centre: HTMLButtonElement;
  readonly view: HTMLElement;
  readonly scroll: HTMLElement;
  readonly above: HTMLButtonElement;
  readonly below: HTMLButtonElement;
  readonly canvas: HTMLCanvasElement;
  readonly table: HTMLTableElement;
  readonly header: HTMLTableRowElement;
  readonly body: HTMLTableSectionElement;
  readonly list: HTMLElement;
}

const HEADINGS: readonly (readonly [column: Column, text: string, title: string])[] = [
  ["bid-queue", "Queue", "Bids in priority order, the front next to the price: a block for each order"],
  ["bid-net", "±", `Bids stacked (+) or pulled (−) in the last ${FLOW_WINDOW_S} s: size that came or went without a trade`],
  ["bid-size", "Bids", "Size of the bids at this price"],
  ["bid-orders", "Ord.", "Number of bids at this price"],
  ["sold", "Sold", "Size that sellers traded against bids at this price, since the ladder was opened or reset"],
  ["price", "Price", "Price"],
  ["bought", "Bought", "Size that buyers traded against asks at this price, since the ladder was opened or reset"],
  ["ask-orders", "Ord.", "Number of asks at this price"],
  ["ask-size", "Asks", "Size of the asks at this price"],
  ["ask-net", "±", `Asks stacked (+) or pulled (−) in the last ${FLOW_WINDOW_S} s: size that came or went without a trade`],
  ["ask-queue", "Queue", "Asks in priority order, the front next to the price: a block for each order"],
];

/** What a screen reader says where the heading is a sign, or the same on both sides. */
const SPOKEN: Partial<Record<Column, string>> = {
  "bid-queue": "Bid queue",
  "bid-net": "Bids stacked or pulled",
  "bid-size": "Bid size",
  "bid-orders": "Bid orders",
  "ask-orders": "Ask orders",
  "ask-size": "Ask size",
  "ask-net": "Asks stacked or pulled",
  "ask-queue": "Ask queue",
};

/** Fills the section, and leaves its heading. */
export function buildFrame(root: HTMLElement): LadderFrame {
  const { head, ...tools } = buildTools(root);
  const canvas = named(make("canvas"), "ladder-canvas");
  canvas.ariaHidden = "true";
  const table = named(make("table"), "ladder");
  const caption = make("caption", "visually-hidden", "Price ladder: bids left, asks right, highest price on top. Arrows move, Enter lists the orders of a row.");
  const thead = make("thead");
  const header = named(make("tr"), "ladder-columns");
  const body = named(make("tbody"), "ladder-body");
  // Its rows are no CSS table, which takes from elements what they are to who hears the page.
  table.role = "table";
  thead.role = body.role = "rowgroup";
  header.role = "row";
  header.append(...HEADINGS.map(([column, text, title]) => heading(column, text, title)));
  thead.append(header);
  table.append(caption, thead, body);
  const sheet = make("div", "ladder-sheet");
  sheet.append(canvas, table);
  const scroll = named(make("div", "ladder-scroll"), "ladder-scroll");
  scroll.append(sheet);
  const above = button("ladder-away ladder-above", "ladder-above");
  const below = button("ladder-away ladder-below", "ladder-below");
  const view = make("div", "ladder-view");
  view.append(scroll, above, below);
  const list = named(make("div", "queue-list"), "queue-list");
  list.hidden = true;
  root.replaceChildren(head, view, list);
  return { ...tools, view, scroll, above, below, canvas, table, header, body, list };
}

function buildTools(root: HTMLElement) {
  const head = make("div", "panel-head ladder-head");
  const title = root.querySelector("h2") ?? make("h2", "", "Ladder");
  const told = named(make("small", "ladder-left-out"), "ladder-left-out");
  const [leftOut, leftOutHow] = [make("span"), make("span", "visually-hidden")];
  told.append(leftOut, leftOutHow);
  const finer = button("small", "ladder-finer", "−", "Fewer ticks a row (−)");
  const coarser = button("small", "ladder-coarser", "+", "More ticks a row (+)");
  const grouping = named(make("span", "ladder-grouping"), "ladder-grouping");
  const groupingControl = group("Price grouping", finer, grouping, coarser);
  const every = button("", "ladder-every", "Every price", "Prices stay where they are, and every tick has its row");
  const compact = button("", "ladder-compact", "Levels", "Only prices with orders");
  const depths = LADDER_DEPTHS.map((depth) => {
    const choice = button("", `depth-${depth}`, String(depth), `${depth} levels of each side`);
    choice.dataset["depth"] = String(depth);
    return choice;
  });
  const depthControl = named(group("Levels of each side", ...depths), "depth-choice");
  const clear = button("small", "flow-clear", "Reset", "");
  const centre = button("small", "centre-button", "Centre", "Centre the ladder (C)");
  head.append(title, told, groupingControl, depthControl, group("Rows", every, compact), clear, centre);
  return { head, leftOut, leftOutHow, coarser, finer, grouping, groupingControl, every, compact, depthControl, depths, clear, centre };
}

function group(label: string, ...children: HTMLElement[]): HTMLElement {
  const element = make("div", "segmented");
  element.role = "group";
  element.ariaLabel = label;
  element.append(...children);
  return element;
}

function heading(column: Column, text: string, title: string): HTMLTableCellElement {
  const cell = make("th", column);
  cell.scope = "col";
  cell.role = "columnheader";
  cell.title = title;
  const spoken = SPOKEN[column];
  if (spoken === undefined) cell.textContent = text;
  else {
    const seen = make("span", "", text);
    seen.ariaHidden = "true";
    cell.append(seen, make("span", "visually-hidden", spoken));
  }
  return cell;
}

function button(className: string, testId: string, text = "", title = ""): HTMLButtonElement {
  const element = named(make("button", className, text), testId);
  element.type = "button";
  if (title !== "") element.title = title;
  return element;
}

function named<T extends HTMLElement>(element: T, testId: string): T {
  element.dataset["testid"] = testId;
  return element;
}
