/** The elements of the tape's pane. */

import { make, setData } from "../dom";
import { paneHead } from "./pane-head";

export interface TapeElements {
  readonly scroll: HTMLElement;
  readonly body: HTMLTableSectionElement;
  readonly pause: HTMLButtonElement;
  readonly resume: HTMLButtonElement;
  readonly empty: HTMLElement;
  readonly sizeMin: HTMLInputElement;
  readonly aggregate: HTMLInputElement;
  readonly volume: HTMLElement;
  readonly delta: HTMLElement;
}

const COLUMNS = [
  ["time", "Time (UTC)"],
  ["price", "Price"],
  ["size", "Size"],
  ["side", "Side"],
  ["order", "Order"],
] as const;

export function buildTape(root: HTMLElement): TapeElements {
  const head = paneHead(root);
  const resume = button("tape-resume", "Held", "Show the newest");
  resume.hidden = true;
  const pause = button("tape-pause", "Pause", "Hold the tape; it is held too while the pointer or the focus is in it, or it is scrolled");
  head.append(resume, pause);

  const bar = make("div", "tape-bar");
  const flow = make("dl", "tape-flow");
  const volume = fact(flow, "tape-volume", "Volume, 1 min");
  const delta = fact(flow, "tape-delta", "Delta");
  const sizeMin = make("input");
  sizeMin.type = "number";
  sizeMin.min = "0";
  sizeMin.step = "1";
  sizeMin.placeholder = "0";
  sizeMin.inputMode = "numeric";
  setData(sizeMin, "testid", "tape-size-min");
  const aggregate = make("input");
  aggregate.type = "checkbox";
  aggregate.checked = true;
  setData(aggregate, "testid", "tape-aggregate");
  const grouped = labelled("tape-choice", aggregate, "by order");
  grouped.title = "Trades of one order at one price are one row";
  bar.append(flow, labelled("tape-choice tape-filter", sizeMin, "size from"), grouped);

  const scroll = make("div", "tape-scroll");
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.ariaLabel = "Trades, newest first, scrollable";
  setData(scroll, "testid", "tape-scroll");
  const { table, body } = buildTable();
  const empty = make("p", "tape-empty");
  setData(empty, "testid", "tape-empty");
  scroll.append(table, empty);
  root.append(bar, scroll);
  return { scroll, body, pause, resume, empty, sizeMin, aggregate, volume, delta };
}

function buildTable(): { table: HTMLTableElement; body: HTMLTableSectionElement } {
  const table = make("table", "tape-table");
  table.append(make("caption", "visually-hidden", "Trades, newest first"));
  const head = make("thead");
  const row = make("tr");
  for (const [name, words] of COLUMNS) {
    const cell = make("th", `tape-${name}`, words);
    cell.scope = "col";
    row.append(cell);
  }
  head.append(row);
  const body = make("tbody");
  setData(body, "testid", "tape-body");
  table.append(head, body);
  return { table, body };
}

function fact(list: HTMLElement, id: string, name: string): HTMLElement {
  const item = make("div");
  const value = make("dd");
  setData(value, "testid", id);
  item.append(make("dt", "", name), value);
  list.append(item);
  return value;
}

function labelled(className: string, input: HTMLInputElement, words: string): HTMLElement {
  const label = make("label", className);
  if (input.type === "checkbox") label.append(input, words);
  else label.append(words, input);
  return label;
}

function button(id: string, text: string, title: string): HTMLButtonElement {
  const made = make("button", "small", text);
  made.type = "button";
  made.title = title;
  setData(made, "testid", id);
  return made;
}
