/**
 * The recorded time as a line from 0 to 1. Sessions take room by how long they are; the time between them, in which
 * nothing was recorded, is drawn as a narrow break however long it was.
 */

import type { History, Hole } from "./replay-history";
import { formatTime } from "./format";
import { NS_PER_MS, NS_PER_S } from "./replay-time";

/** Share of the line that a break takes at most, and all of them together. */
const BREAK_SHARE = 0.012;
const BREAKS_SHARE_MAX = 0.25;

/** One stretch of recorded time without a break, and where it lies on the line. */
export interface Stretch {
  readonly start: bigint;
  readonly end: bigint;
  readonly x0: number;
  readonly x1: number;
  readonly source: string;
}

interface Span {
  readonly start: bigint;
  readonly end: bigint;
  readonly source: string;
}

export class RecordedLine {
  readonly stretches: readonly Stretch[];
  readonly holes: readonly Hole[];

  constructor(history: Pick<History, "sessions" | "holes">) {
    const spans = inForce(history.sessions);
    this.stretches = laidOut(spans);
    this.holes = history.holes.filter((hole) => spans.some((span) => hole.start <= span.end && hole.end >= span.start));
  }

  get isEmpty(): boolean {
    return this.stretches.length === 0;
  }

  get start(): bigint {
    return this.stretches[0]?.start ?? 0n;
  }

  get end(): bigint {
    return this.stretches.at(-1)?.end ?? 0n;
  }

  /** Where a time lies, 0 to 1; one that is not recorded, at the nearest edge before it. */
  xOf(ns: bigint): number {
    const stretch = this.stretches.findLast((each) => each.start <= ns);
    if (stretch === undefined) return 0;
    if (ns >= stretch.end) return stretch.x1;
    const share = Number(ns - stretch.start) / Number(stretch.end - stretch.start);
    return stretch.x0 + share * (stretch.x1 - stretch.x0);
  }

  /** The recorded time at a place; in a break or in a hole, that of the nearer edge. */
  timeAt(x: number): bigint {
    const stretch = this.stretches.findLast((each) => each.x0 <= x) ?? this.stretches[0];
    if (stretch === undefined) return 0n;
    const next = this.stretches[this.stretches.indexOf(stretch) + 1];
    if (x > stretch.x1 && next !== undefined) return x - stretch.x1 < next.x0 - x ? stretch.end : next.start;
    const width = stretch.x1 - stretch.x0;
    const share = width === 0 ? 1 : Math.min(1, Math.max(0, (x - stretch.x0) / width));
    const span = stretch.end - stretch.start;
    return this.besideHole(share === 1 ? stretch.end : stretch.start + BigInt(Math.round(share * Number(span))));
  }

  /** The time itself, or the nearer edge of the hole that it lies in. */
  besideHole(ns: bigint): bigint {
    const hole = this.holeAt(ns);
    if (hole === null) return ns;
    return ns - hole.start < hole.end - ns ? hole.start : hole.end;
  }

  /** The hole that a time lies in; its own edges are recorded. */
  holeAt(ns: bigint): Hole | null {
    return this.holes.find((hole) => hole.start < ns && ns < hole.end) ?? null;
  }

  /** From when on all that came before `ns` is recorded without a break; null: nothing of it is. */
  unbrokenFrom(ns: bigint): bigint | null {
    const session = this.stretches.findLast(({ start }) => start < ns);
    if (session === undefined) return null;
    const hole = this.holes.findLast(({ start }) => start < ns);
    return hole !== undefined && hole.end > session.start ? hole.end : session.start;
  }

  clamp(ns: bigint): bigint {
    return ns < this.start ? this.start : ns > this.end ? this.end : ns;
  }
}

/**
 * A time is looked for in the newest session that reaches back to it: what an older one told is out of force from
 * where a newer one begins.
 */
function inForce(sessions: History["sessions"]): Span[] {
  const spans: Span[] = [];
  let limit: bigint | null = null;
  for (const { start, end, source } of sessions.toReversed()) {
    if (limit !== null && start >= limit) continue;
    spans.unshift({ start, end: limit !== null && end > limit ? limit : end, source });
    limit = start;
  }
  return spans;
}

function laidOut(spans: readonly Span[]): Stretch[] {
  const lengths = spans.map((span) => Math.max(1, Number(span.end - span.start)));
  const recorded = lengths.reduce((sum, length) => sum + length, 0);
  const wanted = spans.map((span, index) => {
    const before = spans[index - 1];
    return before === undefined ? 0 : Math.min(Number(span.start - before.end), recorded * BREAK_SHARE);
  });
  const breaks = wanted.reduce((sum, width) => sum + width, 0);
  const scale = Math.min(1, breaks === 0 ? 1 : (recorded * BREAKS_SHARE_MAX) / breaks);
  const total = recorded + breaks * scale;
  let x = 0;
  return spans.map((span, index) => {
    const x0 = x + ((wanted[index] ?? 0) * scale) / total;
    x = x0 + (lengths[index] ?? 0) / total;
    return { ...span, x0, x1: index === spans.length - 1 ? 1 : x };
  });
}

export interface TimeMark {
  readonly x: number;
  readonly text: string;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
const STEPS_NS: readonly bigint[] = [
  ...[1n, 2n, 5n, 10n, 20n, 50n, 100n, 200n, 500n].map((ms) => ms * NS_PER_MS),
  ...STEPS_S.map((step) => BigInt(step) * NS_PER_S),
  ...[2n, 7n, 14n, 30n, 90n, 365n].map((days) => days * 86_400n * NS_PER_S),
];

/** Round times on the line, at least `apart` from each other (a share of the line), with the text that tells them apart. */
export function timeMarks(line: RecordedLine, apart: number): TimeMark[] {
  const marks: TimeMark[] = [];
  let day = "";
  for (const stretch of line.stretches) {
    const span = stretch.end - stretch.start;
    const count = Math.floor((stretch.x1 - stretch.x0) / apart);
    if (count < 1 || span === 0n) continue;
    const step = STEPS_NS.find((each) => each * BigInt(count) >= span) ?? STEPS_NS.at(-1) ?? NS_PER_S;
    for (let ns = (stretch.start / step + 1n) * step; ns < stretch.end; ns += step) {
      const x = line.xOf(ns);
      const last = marks.at(-1);
      if (last !== undefined && x - last.x < apart * 0.9) continue;
      const { short } = formatTime(ns.toString());
      const [date = "", clock = ""] = short.split(" ");
      const time = step < NS_PER_S ? clock : step < 60n * NS_PER_S ? clock.slice(0, 8) : clock.slice(0, 5);
      // A mark of another day than the one before says which; at midnight the time would say nothing more.
      marks.push({ x, text: date === day ? time : time === "00:00" ? date.slice(5) : `${date.slice(5)} ${time}` });
      day = date;
    }
  }
  return marks;
}
