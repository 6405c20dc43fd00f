/**
 * What lies behind the ladder's numbers: a bar for each level's size, and each level's queue as blocks, one
 * per order, the front of the queue nearest to the price. One canvas under the whole table.
 */

import type { Level, QueueEntry } from "../feed/wire";
import type { Palette, Surface } from "./canvas";
import type { Ladder } from "./ladder-model";
import { COLUMNS, type Column } from "./ladder-table";

const BLOCK_WIDTH_MIN_REM = 0.22;
const BLOCK_WIDTH_MAX_REM = 1.7;
const BLOCK_GAP_PX = 1;
/** Room kept for "+123" at the outer end of a queue that does not fit. */
const MORE_WIDTH_REM = 1.9;
const QUEUE_WIDTH_MIN_REM = 3;
const BAR_ALPHA = 0.17;
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
  /** 0 is the front of the queue. */
  readonly place: number;
  readonly order: QueueEntry;
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

  constructor(surface: Surface) {
    this.#surface = surface;
  }

  paint(ladder: Ladder, geometry: LadderGeometry, palette: Palette): void {
    const context = this.#surface.begin();
    this.blocks = [];
    ladder.rows.forEach((row, index) => {
      if (row.kind !== "level") return;
      if (row.bid !== null) this.#side(context, ladder, geometry, palette, index, "B", row.bid);
      if (row.ask !== null) this.#side(context, ladder, geometry, palette, index, "A", row.ask);
    });
    context.globalAlpha = 1;
  }

  /** Marks one of the blocks painted last. */
  light(block: Block, { top, rowHeight }: LadderGeometry, palette: Palette): void {
    const { context } = this.#surface;
    const inset = blockInset(rowHeight);
    context.globalAlpha = 1;
    context.fillStyle = palette.text;
    context.fillRect(block.from, top + block.row * rowHeight + inset, block.to - block.from, rowHeight - 2 * inset);
  }

  #side(
    context: CanvasRenderingContext2D,
    ladder: Ladder,
    geometry: LadderGeometry,
    palette: Palette,
    row: number,
    side: "B" | "A",
    level: Level,
  ): void {
    const { columns, top, rowHeight } = geometry;
    const y = top + row * rowHeight;
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    // Bids grow to the left of the price, asks to the right.
    const [inner, outer, direction] =
      side === "B"
        ? [columns["bid-size"].to, columns["bid-orders"].from, -1]
        : [columns["ask-size"].from, columns["ask-orders"].to, 1];
    const length = ladder.sizeMax === 0 ? 0 : (Math.abs(outer - inner) * level.size) / ladder.sizeMax;
    context.globalAlpha = BAR_ALPHA;
    context.fillRect(direction < 0 ? inner - length : inner, y + 1, length, rowHeight - 2);
    const queue = columns[side === "B" ? "bid-queue" : "ask-queue"];
    // On a narrow page the numbers keep their room and the blocks give way.
    if (queue.to - queue.from < QUEUE_WIDTH_MIN_REM * this.#surface.rem) return;
    this.#queue(context, ladder.orderSizeMax, queue, { y, rowHeight, row, side, level }, palette);
  }

  #queue(
    context: CanvasRenderingContext2D,
    orderSizeMax: number,
    column: Span,
    at: { y: number; rowHeight: number; row: number; side: "B" | "A"; level: Level },
    palette: Palette,
  ): void {
    const { rem } = this.#surface;
    const { level, side } = at;
    const direction = side === "B" ? -1 : 1;
    const inset = blockInset(at.rowHeight);
    const padding = rem * 0.5;
    const room = column.to - column.from - 2 * padding;
    const widths = fitBlocks(level.queue, level.count, orderSizeMax, room, rem);
    let edge = side === "B" ? column.to - padding : column.from + padding;
    widths.forEach((width, place) => {
      const order = level.queue[place];
      if (order === undefined) return;
      const from = direction < 0 ? edge - width : edge;
      context.fillStyle = side === "B" ? palette.bid : palette.ask;
      context.globalAlpha = fade(place, level.count);
      context.fillRect(from, at.y + inset, width, at.rowHeight - 2 * inset);
      this.blocks.push({ row: at.row, from, to: from + width, side, price: level.price, place, order });
      edge += direction * (width + BLOCK_GAP_PX);
    });
    const more = level.count - widths.length;
    if (more <= 0) return;
    context.globalAlpha = 1;
    context.fillStyle = palette.muted;
    context.font = `${rem * 0.72}px ${palette.font}`;
    context.textAlign = side === "B" ? "right" : "left";
    context.textBaseline = "middle";
    context.fillText(`+${more}`, edge + direction * rem * 0.15, at.y + at.rowHeight / 2 + 0.5);
  }
}

/** Widths of the blocks that fit, front of the queue first; the root keeps small orders visible beside large ones. */
export function fitBlocks(
  queue: readonly QueueEntry[],
  count: number,
  orderSizeMax: number,
  room: number,
  rem: number,
): number[] {
  const width = ([, size]: QueueEntry): number => {
    const share = orderSizeMax > 0 ? Math.sqrt(size / orderSizeMax) : 0;
    return Math.max(BLOCK_WIDTH_MIN_REM, BLOCK_WIDTH_MAX_REM * share) * rem;
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
