/** What the heatmap says in words: under the pointer, and for those who do not see it. */

import { isUnknownInstrument, type Problem } from "./feed/wire";
import { formatCompact, formatInteger, formatTime, plural, trimZeros } from "./format";
import type { Columns } from "./heatmap-columns";
import type { Bubble, Traded } from "./heatmap-trades";

const BOUGHT = { B: "● bought", A: "◆ sold", N: "■ traded" } as const;
/** A summary names so many of the largest levels of a side. */
const LARGEST_MAX = 3;

/** Where there is nothing to paint: why. */
export function emptyNote(problem: Pick<Problem, "status" | "code"> | undefined): string {
  if (problem === undefined) return "No levels yet";
  return isUnknownInstrument(problem) ? "No levels: the server has no such book" : "No levels: the server refuses them";
}

/** The upper end of the scale of sizes, a round number: as many characters at the most for any size, so that the legend keeps its place. */
export function scaleEnd(size: number): string {
  return `${trimZeros(formatCompact(size))} or more`;
}

/** One row at one moment: ticks from `from`, below `to`. */
export function restingLines(columns: Columns, column: number, from: number, to: number): string[] {
  const isRecorded = columns.kind(column) === "recorded";
  const stepS = columns.stepSeconds(column);
  const time = exactTime(columns.tsRecv(column) + (isRecorded ? BigInt(stepS) * 1_000_000_000n - 1n : 0n));
  if (columns.kind(column) === "gap") return ["no data: the book was not received here", `last known ${time}`];
  const prices = pricesOf(columns, from, to);
  const { bidSize, askSize, levels } = columns.resting(column, from, to);
  const sizes = [bidSize > 0 ? `bid size ${formatInteger(bidSize)}` : "", askSize > 0 ? `ask size ${formatInteger(askSize)}` : ""].filter((each) => each !== "");
  const isKnown = columns.isKnown(column, from) && columns.isKnown(column, to - 1);
  const nothing = isKnown ? "nothing rests" : `beyond the ${columns.levelsMax(column)} levels received`;
  const many = levels > 1 ? ` in ${levels} levels` : "";
  const [bid, ask] = [columns.best(column, "B"), columns.best(column, "A")];
  const best = (ticks: number | null): string => (ticks === null ? "none" : columns.grid.price(ticks));
  return [
    `${prices} · ${sizes.length === 0 ? nothing : sizes.join(" · ")}${many}`,
    `best bid ${best(bid)} · best ask ${best(ask)}`,
    ...(columns.kind(column) === "suspect" ? ["in doubt: the feed had a gap"] : []),
    ...(isRecorded ? [recordedLine(stepS)] : []),
    time,
  ];
}

/** Columns from before the page began to look are as coarse as they are recorded. */
function recordedLine(stepS: number): string {
  return `recorded ${stepS === 1 ? "each second" : `every ${stepS} s`}: as it was at the end`;
}

export function tradedLine({ count, buySize, sellSize, otherSize }: Traded): string[] {
  if (count === 0) return [];
  const parts = [
    buySize > 0 ? `${BOUGHT.B} ${formatInteger(buySize)}` : "",
    sellSize > 0 ? `${BOUGHT.A} ${formatInteger(sellSize)}` : "",
    otherSize > 0 ? `${BOUGHT.N} ${formatInteger(otherSize)}` : "",
  ];
  return [`${parts.filter((part) => part !== "").join(" · ")} in ${plural(count, "trade")} here`];
}

export function bubbleLine({ side, size, count }: Bubble, price: string): string {
  return `${BOUGHT[side]} ${formatInteger(size)} in ${plural(count, "trade")} ${count === 1 ? "at" : "around"} ${price}`;
}

export function pricesOf(columns: Columns, from: number, to: number): string {
  return to - from <= 1 ? columns.grid.price(from) : `${columns.grid.price(from)} to ${columns.grid.price(to - 1)}`;
}

export interface SummaryRow {
  readonly what: string;
  readonly price: string;
  readonly size: string;
}

/** The newest book's best and largest levels. */
export function summaryRows(columns: Columns): SummaryRow[] {
  const column = columns.end - 1;
  if (!columns.has(column) || columns.kind(column) === "gap") return [];
  return (["B", "A"] as const).flatMap((side) => {
    const name = side === "B" ? "bid" : "ask";
    const levels = Array.from({ length: columns.count(column, side) }, (_, place) => columns.level(column, side, place));
    const known = levels.filter((level) => level !== null);
    const [best] = known;
    const largest = [...known].sort((a, b) => b.size - a.size).slice(0, LARGEST_MAX);
    const row = (what: string, level: { ticks: number; size: number }): SummaryRow => {
      return { what, price: columns.grid.price(level.ticks), size: formatInteger(level.size) };
    };
    if (best === undefined) return [{ what: `Best ${name}`, price: "none", size: "" }];
    return [row(`Best ${name}`, best), ...largest.map((level, index) => row(`Largest ${name} ${index + 1}`, level))];
  });
}

function exactTime(ts: bigint): string {
  return formatTime(ts.toString()).exact.split(" · ")[0] ?? "";
}
