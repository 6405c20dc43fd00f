/** Says on the picture which part of it is from the recording, and so coarser than what the page saw itself. */

import { xOf, type Scene } from "./heatmap-canvas";

const STRIP_PX = 3;
const TEXT = "recorded, by the second";

/** `to`: the first column that was not; null: there is none. */
export function drawRecorded({ context, palette, layout, columns, view }: Scene, to: number | null): void {
  if (to === null) return;
  const { plot, bottom, rem } = layout;
  const left = Math.max(0, xOf(columns.first, view, layout));
  const right = Math.min(plot, xOf(to, view, layout));
  if (right - left < 1) return;
  context.fillStyle = palette.accent;
  context.fillRect(left, bottom - STRIP_PX, right - left, STRIP_PX);
  if (right < plot) context.fillRect(Math.round(right), 0, 1, bottom);
  context.font = `600 ${rem * 0.72}px ${palette.font}`;
  if (context.measureText(TEXT).width + rem > right - left) return;
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  context.lineWidth = rem * 0.22;
  context.lineJoin = "round";
  context.strokeStyle = palette.panel;
  context.fillStyle = palette.text;
  const [x, y] = [right - rem * 0.4, bottom - STRIP_PX - rem * 0.35];
  context.strokeText(TEXT, x, y);
  context.fillText(TEXT, x, y);
}
