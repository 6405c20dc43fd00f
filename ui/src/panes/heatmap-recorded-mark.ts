/** Says on the picture which part of it is from the recording, how coarse it is there, and so coarser than what the page saw itself. */

import type { Columns } from "../heatmap-columns";
import { xOf, type Scene } from "./heatmap-canvas";

const STRIP_PX = 3;

/** `to`: the first column that was not; null: there is none. */
export function drawRecorded({ context, palette, layout, columns, view }: Scene, to: number | null): void {
  if (to === null) return;
  const { plot, bottom, rem } = layout;
  context.font = `600 ${rem * 0.72}px ${palette.font}`;
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  context.lineWidth = rem * 0.22;
  context.lineJoin = "round";
  context.strokeStyle = palette.panel;
  for (const { from, until, stepS } of stretchesOf(columns, to)) {
    const left = Math.max(0, xOf(from, view, layout));
    const right = Math.min(plot, xOf(until, view, layout));
    if (right - left < 1) continue;
    context.fillStyle = palette.accent;
    context.fillRect(left, bottom - STRIP_PX, right - left, STRIP_PX);
    if (right < plot) context.fillRect(Math.round(right), 0, 1, bottom);
    const text = recordedCaption(stepS);
    if (context.measureText(text).width + rem > right - left) continue;
    context.fillStyle = palette.text;
    const [x, y] = [right - rem * 0.4, bottom - STRIP_PX - rem * 0.35];
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}

export function recordedCaption(stepS: number): string {
  return stepS === 1 ? "recorded, by the second" : `recorded, each ${stepS} s`;
}

interface RecordedStretch {
  readonly from: number;
  until: number;
  readonly stepS: number;
}

/** Recorded columns that are equally coarse, oldest first. */
export function stretchesOf(columns: Columns, to: number): RecordedStretch[] {
  const stretches: RecordedStretch[] = [];
  for (let column = columns.first; column < Math.min(to, columns.end); column += 1) {
    const [stepS, from] = [columns.stepSeconds(column), columns.at(column)];
    const until = column + 1 < columns.end ? columns.at(column + 1) : columns.until;
    const last = stretches.at(-1);
    if (last?.stepS === stepS) last.until = until;
    else stretches.push({ from, until, stepS });
  }
  return stretches;
}
