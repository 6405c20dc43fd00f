/**
 * What lies behind the ladder's numbers: a bar for each level's size and for what was traded at each price, and each
 * level's queue as blocks, one per order, the front of the queue nearest to the price. One canvas under the whole table.
 */

import type { Palette, Surface } from "./canvas";
import { ordersOf, type Ladder, type QueuedOrder, type RowFlow, type RowSide } from "./ladder-rows";
import { COLUMNS, isPrice, type Column } from "./ladder-table";

const BLOCK_WIDTH_MIN_REM = 0.22;
const BLOCK_WIDTH_MAX_REM = 1.7;
const BLOCK_GAP_PX = 1;
/** Room kept for "+123" at the outer end of a queue that does not fit. */
const MORE_WIDTH_REM = 1.7;
const BAR_ALPHA = 0.17;
const FLOW_ALPHA = 0.26;
const BLOCK_ALPHA_FRONT = 0.95;
const BLOCK_ALPHA_BACK = 0.32;

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where rows and columns lie, in CSS pixels from the corner of the table. */
export interface LadderGeometry {
  readonly columns: Readonly<Record<Column, Span>>;
  readonly top: number;
  readonly rowHeight: number;
}

export interface Block {
  readonly row: number;
  readonly from: number;
  readonly to: number;
  readonly side: "B" | "A";
  readonly price: string;
  /** In the queue of its row; 0 is the front. */
  readonly place: number;
  readonly order: QueuedOrder["order"];
}

interface RowAt {
  readonly y: number;
  readonly rowHeight: number;
  readonly row: number;
  readonly side: "B" | "A";
}

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

export class LadderCanvas {
  /** What was painted last, for the pointer. */
  blocks: Block[] = [];
  readonly #surface: Surface;
  /** How many orders of a queue did not fit, and where that is written. */
  readonly #more: Readonly<Record<"B" | "A", { readonly text: string; readonly x: number; readonly y: number }[]>> = { B: [], A: [] };

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  /** `selected`: the order that is marked in its queue. */
  paint(ladder: Ladder, geometry: LadderGeometry, palette: Palette, selected: string | null): void {
    const context = this.#surface.begin();
    this.blocks = [];
    ladder.rows.forEach((row, index) => {
      if (!isPrice(row)) return;
      if (row.flow !== null) this.#flow(context, row.flow, ladder.tradedMax, geometry, palette, index);
      if (row.bid !== null) this.#side(context, ladder, geometry, palette, index, "B", row.bid);
      if (row.ask !== null) this.#side(context, ladder, geometry, palette, index, "A", row.ask);
    });
    this.#writeMore(context, palette);
    const marked = selected === null ? undefined : this.blocks.find(({ order }) => order[0] === selected);
    if (marked !== undefined) this.#mark(marked, geometry, palette);
  }

  /** Brightens one of the blocks painted last. */
  light(block: Block, { top, rowHeight }: LadderGeometry, palette: Palette): void {
    const { context } = this.#surface;
    const inset = blockInset(rowHeight);
    context.globalAlpha = 1;
    context.fillStyle = palette.text;
    context.fillRect(block.from, top + block.row * rowHeight + inset, block.to - block.from, rowHeight - 2 * inset);
  }

  /** Frames a block: its shape says so, not its colour alone. */
  #mark(block: Block, { top, rowHeight }: LadderGeometry, palette: Palette): void {
    const { context, rem } = this.#surface;
    const [inset, line] = [blockInset(rowHeight), Math.max(1.5, rem * 0.12)];
    const y = top + block.row * rowHeight + inset;
    context.fillStyle = palette.accent;
    context.fillRect(block.from, y, block.to - block.from, rowHeight - 2 * inset);
    context.strokeStyle = palette.text;
    context.lineWidth = line;
    context.strokeRect(block.from - line, y - line, block.to - block.from + 2 * line, rowHeight - 2 * inset + 2 * line);
  }

  /** What was traded, growing from the price outward: sellers left, where they hit bids, buyers right. */
  #flow(
    context: CanvasRenderingContext2D,
    { sold, bought }: RowFlow,
    tradedMax: number,
    { columns, top, rowHeight }: LadderGeometry,
    palette: Palette,
    row: number,
  ): void {
    if (tradedMax === 0) return;
    const y = top + row * rowHeight;
    context.globalAlpha = FLOW_ALPHA;
    const left = Math.round(((columns.sold.to - columns.sold.from) * sold) / tradedMax);
    const right = Math.round(((columns.bought.to - columns.bought.from) * bought) / tradedMax);
    context.fillStyle = palette.ask;
    context.fillRect(columns.sold.to - left, y + 1, left, rowHeight - 2);
    context.fillStyle = palette.bid;
    context.fillRect(columns.bought.from, y + 1, right, rowHeight - 2);
  }

  #side(
    context: CanvasRenderingContext2D,
    ladder: Ladder,
    geometry: LadderGeometry,
    palette: Palette,
    row: number,
    side: "B" | "A",
    level: RowSide,
  ): void {
    const { columns, top, rowHeight } = geometry;
    const y = top + row * rowHeight;
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    // Bids grow to the left of the price, asks to the right.
    const [inner, outer] =
      side === "B"
        ? [columns["bid-orders"].to, columns["bid-size"].from]
        : [columns["ask-orders"].from, columns["ask-size"].to];
    const length = ladder.sizeMax === 0 ? 0 : Math.round((Math.abs(outer - inner) * level.size) / ladder.sizeMax);
    context.globalAlpha = BAR_ALPHA;
    context.fillRect(side === "B" ? inner - length : inner, y + 1, length, rowHeight - 2);
    const queue = columns[side === "B" ? "bid-queue" : "ask-queue"];
    // On a narrow page the numbers keep their room and the blocks give way.
    if (queue.to === queue.from) return;
    this.#queue(context, ladder.orderSizeMax, queue, { y, rowHeight, row, side }, level, palette);
  }

  #queue(
    context: CanvasRenderingContext2D,
    orderSizeMax: number,
    column: Span,
    at: RowAt,
    level: RowSide,
    palette: Palette,
  ): void {
    const { rem } = this.#surface;
    const { side } = at;
    const direction = side === "B" ? -1 : 1;
    const inset = blockInset(at.rowHeight);
    const padding = rem * 0.3;
    const room = column.to - column.from - 2 * padding;
    // One more than there is room for: those behind it are a number.
    const orders = ordersOf(level, Math.ceil(room / (BLOCK_WIDTH_MIN_REM * rem + BLOCK_GAP_PX)) + 1);
    const widths = fitBlocks(orders, level.count, orderSizeMax, room, rem);
    let edge = Math.round(side === "B" ? column.to - padding : column.from + padding);
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    widths.forEach((width, place) => {
      const queued = orders[place];
      if (queued === undefined) return;
      const from = direction < 0 ? edge - width : edge;
      context.globalAlpha = fade(place, level.count);
      context.fillRect(from, at.y + inset, width, at.rowHeight - 2 * inset);
      this.blocks.push({ row: at.row, from, to: from + width, side, place, ...queued });
      edge += direction * (width + BLOCK_GAP_PX);
    });
    const more = level.count - widths.length;
    if (more > 0) this.#more[side].push({ text: `+${more}`, x: edge + direction * rem * 0.15, y: at.y + at.rowHeight / 2 + 0.5 });
  }

  /** All at once, in one font. */
  #writeMore(context: CanvasRenderingContext2D, palette: Palette): void {
    context.globalAlpha = 1;
    context.fillStyle = palette.muted;
    context.font = `${this.#surface.rem * 0.68}px ${palette.font}`;
    context.textBaseline = "middle";
    for (const side of ["B", "A"] as const) {
      context.textAlign = side === "B" ? "right" : "left";
      for (const { text, x, y } of this.#more[side].splice(0)) context.fillText(text, x, y);
    }
  }
}

/**
 * Widths of the blocks that fit, front of the queue first; the root keeps small orders visible beside large ones. Whole
 * pixels, so that their edges are sharp.
 */
export function fitBlocks(
  queue: readonly Pick<QueuedOrder, "order">[],
  count: number,
  orderSizeMax: number,
  room: number,
  rem: number,
): number[] {
  const width = ({ order: [, size] }: Pick<QueuedOrder, "order">): number => {
    const share = orderSizeMax > 0 ? Math.sqrt(size / orderSizeMax) : 0;
    return Math.max(1, Math.round(Math.max(BLOCK_WIDTH_MIN_REM, BLOCK_WIDTH_MAX_REM * share) * rem));
  };
  const widths = queue.map(width);
  const total = widths.reduce((sum, each) => sum + each + BLOCK_GAP_PX, 0);
  if (count === queue.length && total <= room) return widths;
  let left = room - MORE_WIDTH_REM * rem;
  const fitting = widths.findIndex((each) => (left -= each + BLOCK_GAP_PX) < 0);
  return fitting < 0 ? widths : widths.slice(0, fitting);
}

function blockInset(rowHeight: number): number {
  return Math.round(rowHeight * 0.22);
}

/** The front of the queue is the brightest. */
function fade(place: number, count: number): number {
  const back = count <= 1 ? 0 : Math.min(1, place / Math.min(count - 1, 12));
  return BLOCK_ALPHA_FRONT - (BLOCK_ALPHA_FRONT - BLOCK_ALPHA_BACK) * back;
}
