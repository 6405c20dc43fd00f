/**
 * Where the numbers of trades' marks stand: beside their mark, off the lines of the best prices, and none over another: of two that
 * would, the smaller trade has none. What is larger and near decides alone, so that a part of the picture is painted as the whole is.
 */

import type { Bubble } from "./heatmap-trades";

/** A mark: its middle and radius, in CSS pixels. */
export interface Mark {
  readonly bubble: Bubble;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

export interface Label {
  readonly mark: Mark;
  readonly text: string;
  /** Its middle. */
  readonly x: number;
  readonly y: number;
}

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface LabelSpace {
  readonly bottom: number;
  readonly textHeight: number;
  textOf(bubble: Bubble): string;
  widthOf(text: string): number;
  /** Whether a best price's line goes through there. */
  hasLine(box: Box): boolean;
}

interface Wish {
  readonly label: Label;
  readonly box: Box;
}

/** Marks in any order; those that are to have a number if there is room. */
export function placeLabels(marks: readonly Mark[], space: LabelSpace): Label[] {
  const wishes = marks.map((mark) => wishOf(mark, space)).filter((wish) => wish !== null);
  return wishes.filter((wish) => !wishes.some((other) => isLarger(other.label.mark, wish.label.mark) && overlap(other.box, wish.box))).map(({ label }) => label);
}

/** Buyers trade at the ask, above which is room, sellers at the bid; else on the other side of the mark. */
function wishOf(mark: Mark, space: LabelSpace): Wish | null {
  const text = space.textOf(mark.bubble);
  const [half, height] = [space.widthOf(text) / 2, space.textHeight];
  const away = mark.bubble.side === "A" ? 1 : -1;
  for (const direction of [away, -away]) {
    const y = mark.y + direction * (mark.radius + height / 2);
    const box = { left: mark.x - half, right: mark.x + half, top: y - height / 2, bottom: y + height / 2 };
    if (box.top >= 0 && box.bottom <= space.bottom && !space.hasLine(box)) return { label: { mark, text, x: mark.x, y }, box };
  }
  return null;
}

/** Of equal ones, the earlier, and then the higher. */
function isLarger({ bubble: a }: Mark, { bubble: b }: Mark): boolean {
  if (a === b) return false;
  if (a.size !== b.size) return a.size > b.size;
  if (a.at !== b.at) return a.at < b.at;
  return a.ticks === b.ticks ? a.side < b.side : a.ticks > b.ticks;
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
