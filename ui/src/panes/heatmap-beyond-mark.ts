/** Says on the picture that it has more prices than levels were asked for: there is no book beyond, not an empty one. */

import { xOf, type Scene } from "./heatmap-canvas";

/** Room for the words, in lines of them. */
const LINES_MIN = 2;

/** Above the highest level known, and below the lowest, of the newest column. */
export function drawBeyond({ context, palette, layout, columns, range, view }: Scene): void {
  const column = columns.end - 1;
  if (columns.kind(column) === "gap") return;
  const { plot, bottom, rem } = layout;
  const [lowest, highest] = columns.known(column);
  const text = `beyond the ${columns.levelsMax(column)} levels asked for`;
  const line = rem * 1.1;
  context.font = `600 ${rem * 0.72}px ${palette.font}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.lineWidth = rem * 0.22;
  context.lineJoin = "round";
  context.strokeStyle = palette.panel;
  context.fillStyle = palette.text;
  const left = Math.max(0, xOf(columns.at(columns.first), view, layout)) + rem * 0.5;
  if (left + context.measureText(text).width > plot) return;
  const room = line * LINES_MIN;
  const write = (y: number): void => {
    context.strokeText(text, left, y);
    context.fillText(text, left, y);
  };
  if (range.y(highest) > room) write(line);
  if (bottom - range.y(lowest) > room) write(bottom - line);
}
