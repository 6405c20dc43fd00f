/** The size left of an order over its life, as steps, with a mark at each thing that happened. */

import { formatDuration, formatInteger } from "../format";
import type { LifeStep } from "../order";
import type { Palette, Surface } from "./canvas";

const MARK_REM = 0.22;

export function paintLife(surface: Surface, steps: readonly LifeStep[], side: "B" | "A" | "N", palette: Palette): void {
  const context = surface.begin();
  const { width, height, rem } = surface;
  const timed = steps.filter((step): step is LifeStep & { tsEvent: string } => step.tsEvent !== null);
  const [first, last] = [timed[0], timed.at(-1)];
  if (first === undefined || last === undefined || width === 0) return;
  const spanNs = Number(BigInt(last.tsEvent) - BigInt(first.tsEvent));
  const leftMax = Math.max(1, ...timed.map(({ left }) => left));
  const [from, to, top, bottom] = [rem * 0.4, width - rem * 0.4, rem * 1.1, height - rem * 1.2];
  // Many orders live for less than the width of a line; time runs linearly all the same.
  const x = (step: LifeStep & { tsEvent: string }): number =>
    spanNs === 0 ? from : from + ((to - from) * Number(BigInt(step.tsEvent) - BigInt(first.tsEvent))) / spanNs;
  const y = (left: number): number => bottom - ((bottom - top) * left) / leftMax;
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, Math.round(bottom) + 0.5);
  context.lineTo(width, Math.round(bottom) + 0.5);
  context.stroke();
  context.strokeStyle = context.fillStyle = side === "A" ? palette.ask : palette.bid;
  context.lineWidth = Math.max(1.5, rem * 0.11);
  context.beginPath();
  context.moveTo(x(first), y(first.left));
  for (const step of timed.slice(1)) {
    const at = x(step);
    context.lineTo(at, y(step.left - step.change));
    context.lineTo(at, y(step.left));
  }
  // A single step goes on to the edge: the order rests as it came.
  if (timed.length === 1) context.lineTo(to, y(first.left));
  context.stroke();
  for (const step of timed) {
    const size = MARK_REM * rem;
    context.fillRect(x(step) - size, y(step.left) - size, 2 * size, 2 * size);
  }
  context.fillStyle = palette.muted;
  context.font = `${rem * 0.72}px ${palette.font}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillText(`size left, at most ${formatInteger(leftMax)}`, 0, rem * 0.45);
  context.fillText("0", 0, height - rem * 0.5);
  context.textAlign = "right";
  context.fillText(spanNs === 0 ? "" : formatDuration(spanNs), width, height - rem * 0.5);
}
