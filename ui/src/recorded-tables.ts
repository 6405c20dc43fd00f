/** How far the tables of the recording have come: they are written a little behind the market. */

import type { RecordedLine } from "./replay-line";
import { NS_PER_S } from "./replay-time";
import type { State } from "./state";

/** What is asked for then is there. */
const BEHIND_MS = 1_000;

/** Whether the tables tell of the time before `ns`, which the page has known of since `sinceMs`. */
export function areTablesAt(ns: bigint, sinceMs: number, { metrics }: Pick<State, "metrics">, line: RecordedLine, nowMs: number): boolean {
  const lagS = metrics?.recording.tablesLagS ?? null;
  if (lagS === null || nowMs - sinceMs < BEHIND_MS) return false;
  if (nowMs - sinceMs >= lagS * 1_000 + BEHIND_MS) return true;
  return ns < line.end - BigInt(Math.ceil(lagS + 1)) * NS_PER_S;
}
