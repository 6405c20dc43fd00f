/**
 * What lies behind the ladder's numbers: a bar for each level's size and for what was traded at each price, and each
 * level's queue as blocks, one per order, the front of the queue nearest to the price. One canvas under the whole table.
 */

import type { Palette, Surface } from "./canvas";
import type { LadderGeometry, Span } from "./ladder-measure";
import { ordersOf, type Ladder, type QueuedOrder, type RowFlow, type RowSide } from "./ladder-rows";
import { isPrice } from "./ladder-table";

/** The least that can be told from its neighbours. */
const BLOCK_WIDTH_MIN_PX = 2;
/** The order to be traded next is the one most often pointed at. */
const FRONT_WIDTH_MIN_REM = 0.3;
const BLOCK_WIDTH_MAX_REM = 1.7;
/** Of a queue's room so much is for the largest block where queues are long; where they are short, this by their orders. */
const BLOCK_SHARE_LONG = 0.12;
const BLOCK_SHARE_SHORT = 1.2;
const BLOCK_GAP_PX = 1;
/** Room kept for "+123" at the outer end of a queue that does not fit: the gap with the sign, and each digit. */
const MORE_SIGN_REM = 0.75;
const MORE_DIGIT_REM = 0.45;
const BAR_ALPHA = 0.17;
const FLOW_ALPHA = 0.26;
const BLOCK_ALPHA_FRONT = 0.95;
const BLOCK_ALPHA_BACK = 0.4;
/** From this place on they are equally dim. */
const BACK_PLACE = 20;

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
  readonly row: number;
  readonly side: "B" | "A";
}

/** From top to bottom, in whole pixels, so that edges are sharp. */
interface Extent {
  readonly y: number;
  readonly height: number;
}

/** What blocks are scaled by: the same for all rows, so that they can be compared. */
type BlockScale = Pick<Ladder, "orderSizeMax" | "ordersTypical">;

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

  /** The block painted last at a place of a row; a gap belongs to one of its neighbours. */
  blockAt(row: number, x: number): Block | null {
    return this.blocks.find((block) => block.row === row && x >= block.from && x < block.to + BLOCK_GAP_PX) ?? null;
  }

  /** Brightens one of the blocks painted last. */
  light(block: Block, geometry: LadderGeometry, palette: Palette): void {
    const { context } = this.#surface;
    const { y, height } = blockExtent(geometry, block.row);
    context.globalAlpha = 1;
    context.fillStyle = palette.text;
    context.fillRect(block.from, y, block.to - block.from, height);
  }

  /** Frames a block: its shape says so, not its colour alone. */
  #mark(block: Block, geometry: LadderGeometry, palette: Palette): void {
    const { context, rem } = this.#surface;
    const line = Math.max(1.5, rem * 0.12);
    const { y, height } = blockExtent(geometry, block.row);
    context.fillStyle = palette.accent;
    context.fillRect(block.from, y, block.to - block.from, height);
    context.strokeStyle = palette.text;
    context.lineWidth = line;
    context.strokeRect(block.from - line, y - line, block.to - block.from + 2 * line, height + 2 * line);
  }

  /** What was traded, growing from the price outward: sellers left, where they hit bids, buyers right. */
  #flow(
    context: CanvasRenderingContext2D,
    { sold, bought }: RowFlow,
    tradedMax: number,
    geometry: LadderGeometry,
    palette: Palette,
    row: number,
  ): void {
    if (tradedMax === 0) return;
    const { columns } = geometry;
    const { y, height } = barExtent(geometry, row);
    context.globalAlpha = FLOW_ALPHA;
    const left = Math.round(((columns.sold.to - columns.sold.from) * sold) / tradedMax);
    const right = Math.round(((columns.bought.to - columns.bought.from) * bought) / tradedMax);
    context.fillStyle = palette.ask;
    context.fillRect(columns.sold.to - left, y, left, height);
    context.fillStyle = palette.bid;
    context.fillRect(columns.bought.from, y, right, height);
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
    const { columns } = geometry;
    const { y, height } = barExtent(geometry, row);
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    // Bids grow to the left of the price, asks to the right.
    const { from, to } = columns[side === "B" ? "bid-size" : "ask-size"];
    const length = ladder.sizeMax === 0 ? 0 : Math.round(((to - from) * level.size) / ladder.sizeMax);
    context.globalAlpha = BAR_ALPHA;
    context.fillRect(side === "B" ? to - length : from, y, length, height);
    const queue = columns[side === "B" ? "bid-queue" : "ask-queue"];
    // On a narrow page the numbers keep their room and the blocks give way.
    if (queue.to === queue.from) return;
    this.#queue(context, ladder, queue, geometry, { row, side }, level, palette);
  }

  #queue(
    context: CanvasRenderingContext2D,
    scale: BlockScale,
    column: Span,
    geometry: LadderGeometry,
    { row, side }: RowAt,
    level: RowSide,
    palette: Palette,
  ): void {
    const { rem } = this.#surface;
    const direction = side === "B" ? -1 : 1;
    const { y, height } = blockExtent(geometry, row);
    const padding = rem * 0.3;
    const room = column.to - column.from - 2 * padding;
    // One more than there is room for: those behind it are a number.
    const orders = ordersOf(level, Math.ceil(room / (BLOCK_WIDTH_MIN_PX + BLOCK_GAP_PX)) + 1);
    const widths = fitBlocks(orders, level.count, scale, room, rem);
    let edge = Math.round(side === "B" ? column.to - padding : column.from + padding);
    context.fillStyle = side === "B" ? palette.bid : palette.ask;
    widths.forEach((width, place) => {
      const queued = orders[place];
      if (queued === undefined) return;
      const from = direction < 0 ? edge - width : edge;
      context.globalAlpha = fade(place, level.count);
      context.fillRect(from, y, width, height);
      this.blocks.push({ row, from, to: from + width, side, place, ...queued });
      edge += direction * (width + BLOCK_GAP_PX);
    });
    const more = level.count - widths.length;
    if (more > 0) this.#more[side].push({ text: `+${more}`, x: edge + direction * rem * 0.15, y: y + height / 2 + 0.5 });
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
 * Widths of the blocks that fit, front of the queue first, which is always there; the root keeps small orders visible
 * beside large ones. Whole pixels, so that their edges are sharp.
 */
export function fitBlocks(
  queue: readonly Pick<QueuedOrder, "order">[],
  count: number,
  { orderSizeMax, ordersTypical }: BlockScale,
  room: number,
  rem: number,
): number[] {
  const share = Math.max(BLOCK_SHARE_LONG, BLOCK_SHARE_SHORT / Math.max(1, ordersTypical));
  const widest = Math.min(BLOCK_WIDTH_MAX_REM * rem, share * room);
  const widths = queue.map(({ order: [, size] }, place) => {
    const least = place === 0 ? FRONT_WIDTH_MIN_REM * rem : BLOCK_WIDTH_MIN_PX;
    return Math.round(Math.max(least, orderSizeMax > 0 ? widest * Math.sqrt(size / orderSizeMax) : 0));
  });
  const total = widths.reduce((sum, each) => sum + each + BLOCK_GAP_PX, 0);
  if (count === queue.length && total <= room) return widths;
  let left = room - (MORE_SIGN_REM + MORE_DIGIT_REM * String(count).length) * rem;
  const fitting = widths.findIndex((each) => (left -= each + BLOCK_GAP_PX) < 0);
  return fitting < 0 ? widths : widths.slice(0, Math.max(1, fitting));
}

function barExtent({ top, rowHeight }: LadderGeometry, row: number): Extent {
  const [from, to] = [Math.round(top + row * rowHeight), Math.round(top + (row + 1) * rowHeight)];
  return { y: from + 1, height: to - from - 2 };
}

function blockExtent(geometry: LadderGeometry, row: number): Extent {
  const { y, height } = barExtent(geometry, row);
  const inset = Math.round(geometry.rowHeight * 0.2);
  return { y: y + inset, height: height - 2 * inset };
}

/** The front of the queue is the brightest. */
function fade(place: number, count: number): number {
  const back = count <= 1 ? 0 : Math.min(1, place / Math.min(count - 1, BACK_PLACE));
  return BLOCK_ALPHA_FRONT - (BLOCK_ALPHA_FRONT - BLOCK_ALPHA_BACK) * back;
}
