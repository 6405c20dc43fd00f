/** The elements of the order inspector. */

import { make } from "../dom";

const FACTS = [
  ["side", "Side"],
  ["price", "Price"],
  ["size", "Size left"],
  ["filled", "Traded so far"],
  ["placed", "Here since"],
  ["ahead", "Ahead of it"],
  ["behind", "Behind it"],
] as const;
export type Fact = (typeof FACTS)[number][0];

export interface InspectorFrame {
  readonly field: HTMLInputElement;
  readonly show: HTMLButtonElement;
  readonly clear: HTMLButtonElement;
  readonly hint: HTMLElement;
  readonly body: HTMLElement;
  readonly title: HTMLElement;
  readonly status: HTMLElement;
  readonly note: HTMLElement;
  readonly bar: HTMLElement;
  readonly facts: Readonly<Record<Fact, HTMLElement>>;
  readonly canvas: HTMLCanvasElement;
  readonly lifeNote: HTMLElement;
  readonly life: HTMLTableElement;
  readonly lifeRows: HTMLTableSectionElement;
  readonly aheadPart: HTMLElement;
  readonly aheadMore: HTMLElement;
}

/** Fills the section, and leaves its heading. */
export function buildInspector(root: HTMLElement): InspectorFrame {
  const { head, ...fields } = buildHead(root);
  const hint = named("p", "inspector-hint", "inspector-note");
  hint.textContent = "Choose an order: click a block of a queue in the ladder, press Enter on one of its rows, or type an order id.";
  const { top, ...standing } = buildStanding();
  const { part: lifePart, ...life } = buildLife();
  const aheadPart = make("div", "inspector-part");
  const aheadMore = make("p", "inspector-note");
  aheadPart.append(make("h3", "", "Ahead of it, the first to be traded first"), aheadMore);
  const body = named("div", "inspector-body", "inspector-body");
  body.append(top, lifePart, aheadPart);
  root.replaceChildren(head, hint, body);
  return { ...fields, hint, body, ...standing, ...life, aheadPart, aheadMore };
}

function buildHead(root: HTMLElement) {
  const head = make("div", "panel-head inspector-head");
  const field = named("input", "inspector-field");
  field.type = "text";
  field.inputMode = "numeric";
  field.autocomplete = "off";
  field.placeholder = "order id";
  field.ariaLabel = "Order id";
  field.maxLength = 20;
  const show = button("inspector-show", "Show");
  const clear = button("inspector-clear", "×");
  clear.ariaLabel = clear.title = "Look at no order";
  head.append(root.querySelector("h2") ?? make("h2", "", "Order"), field, show, clear);
  return { head, field, show, clear };
}

function buildStanding() {
  const top = make("div", "inspector-part");
  const line = make("p", "inspector-line");
  const title = named("strong", "inspector-order");
  const status = named("span", "inspector-status", "badge");
  status.role = "status";
  line.append(title, status);
  const note = named("p", "inspector-message", "inspector-note");
  const bar = named("div", "inspector-bar", "place-bar");
  bar.role = "img";
  bar.append(make("span", "place-ahead"), make("span", "place-own"), make("span", "place-behind"));
  const list = make("dl", "inspector-facts");
  const facts = Object.fromEntries(
    FACTS.map(([fact, label]) => {
      const value = named("dd", `inspector-${fact}`);
      const row = make("div");
      row.append(make("dt", "", label), value);
      list.append(row);
      return [fact, value];
    }),
  ) as Record<Fact, HTMLElement>;
  top.append(line, note, bar, list);
  return { top, title, status, note, bar, facts };
}

function buildLife() {
  const part = make("div", "inspector-part");
  const canvas = named("canvas", "life-canvas");
  canvas.role = "img";
  canvas.ariaLabel = "Size left of the order over its life; the table below has the same";
  const lifeNote = named("p", "life-note", "inspector-note");
  const life = named("table", "life", "life-table");
  const header = make("tr");
  for (const [text, title] of [
    ["What, when (UTC)", "Venue time, to the nanosecond"],
    ["Change", "What the size changed by"],
    ["Left", "Size left then"],
    ["Price", ""],
  ] as const) {
    const cell = make("th", "", text);
    cell.scope = "col";
    if (title !== "") cell.title = title;
    header.append(cell);
  }
  const head = make("thead");
  head.append(header);
  const lifeRows = make("tbody");
  life.append(make("caption", "visually-hidden", "The life of the order, newest last"), head, lifeRows);
  const scroll = make("div", "life-scroll");
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.ariaLabel = "The life of the order";
  scroll.append(life);
  part.append(make("h3", "", "Its life"), canvas, lifeNote, scroll);
  return { part, canvas, lifeNote, life, lifeRows };
}

function button(testId: string, text: string): HTMLButtonElement {
  const element = named("button", testId, "small");
  element.type = "button";
  element.textContent = text;
  return element;
}

function named<K extends keyof HTMLElementTagNameMap>(tag: K, testId: string, className = ""): HTMLElementTagNameMap[K] {
  const element = make(tag, className);
  element.dataset["testid"] = testId;
  return element;
}
