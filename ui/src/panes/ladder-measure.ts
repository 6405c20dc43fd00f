/** What is asked of the page's layout: where rows and columns lie, and how wide text is. Only after these may have changed. */

import type { Surface } from "./canvas";
import type { Kind, Measures } from "./ladder-columns";
import { COLUMNS, type Column } from "./ladder-table";

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where rows and columns lie, in CSS pixels from the corner of the table. */
export interface LadderGeometry {
  readonly columns: Readonly<Record<Column, Span>>;
  readonly top: number;
  readonly rowHeight: number;
}

const HEADED: Readonly<Record<Kind, readonly Column[]>> = {
  price: ["price"],
  size: ["bid-size", "ask-size"],
  orders: ["bid-orders", "ask-orders"],
  flow: ["sold", "bought"],
  net: ["bid-net", "ask-net"],
};

export function measureLadder(table: HTMLTableElement, header: HTMLTableRowElement, first: HTMLElement): LadderGeometry {
  const edge = (index: number): Span => {
    const cell = header.cells.item(index);
    return { from: cell?.offsetLeft ?? 0, to: (cell?.offsetLeft ?? 0) + (cell?.offsetWidth ?? 0) };
  };
  const spans = COLUMNS.map((column, index) => [column, edge(index)] as const);
  return {
    columns: Object.fromEntries(spans) as Record<Column, Span>,
    top: first.getBoundingClientRect().top - table.getBoundingClientRect().top,
    rowHeight: first.getBoundingClientRect().height,
  };
}

export function measureText(table: HTMLTableElement, header: HTMLTableRowElement, { context, rem }: Surface): Measures {
  const heading = (column: Column): number => {
    const cell = header.cells.item(COLUMNS.indexOf(column));
    if (cell === null) return 0;
    context.font = getComputedStyle(cell).font;
    // What is only heard stands behind it.
    return context.measureText(cell.firstChild?.textContent ?? "").width;
  };
  const widest = Object.entries(HEADED).map(([kind, columns]) => [kind, Math.max(...columns.map(heading))] as const);
  context.font = getComputedStyle(table).font;
  return { rem, ch: context.measureText("0").width, headings: Object.fromEntries(widest) as Record<Kind, number> };
}
