/** Fills the heatmap with what was recorded before its first column: asked for once, newest first, within bounds. */

import type { Answer } from "./feed/request";
import { parseBook } from "./feed/wire";
import type { HeatmapRecord } from "./heatmap-record";
import { NS_PER_S, parseLevelRows, RECORDED_LEVELS, stepsOf, type Stretch } from "./heatmap-recorded";
import type { RecordedLine } from "./replay-line";
import type { State } from "./state";

/** All stretches begin and end at multiples of this, as the server's intervals do. */
const ALIGN_S = 10;
/** Of which the newest is as fine as the tables are, and those further back are coarser. */
const STRETCHES = [
  { seconds: 10, stepS: 1 },
  { seconds: 50, stepS: 1, busyStepS: 5 },
  { seconds: 240, stepS: 10 },
] as const;
/** An answer holds so many levels, some 100 bytes each; where there are more, it is not filled any further. */
export const ROWS_MAX = 4_000;
/** Where more levels change in a second, the stretch behind is told by coarser steps. */
const BUSY_ROWS_PER_S = 60;
/** On a line that needs longer for a stretch, no more is asked for. */
const SLOW_MS = 2_000;
/** Tables are written a little behind the market: what is asked for then is there. */
const BEHIND_MS = 1_000;

type Request = (path: string) => Promise<Answer>;

export class HeatmapPast {
  readonly #record: HeatmapRecord;
  readonly #request: Request;
  readonly #changed: () => void;
  /** Which beginning of the record is being filled, and since when it is known. */
  #beginning = -1;
  #sinceMs = 0;
  /** The next of STRETCHES, and the second before which it ends. */
  #next = 0;
  #before = 0;
  #isBusy = false;
  #isAsking = false;

  /** `changed`: there is more to be shown. */
  constructor(record: HeatmapRecord, request: Request, changed: () => void) {
    this.#record = record;
    this.#request = request;
    this.#changed = changed;
  }

  /** To be called often: asks when there is something to ask for. */
  refresh(state: State, line: RecordedLine | null, nowMs: number): void {
    const { columns, beginning } = this.#record;
    if (columns.length === 0) return;
    if (beginning !== this.#beginning) {
      this.#beginning = beginning;
      this.#sinceMs = nowMs;
      this.#next = 0;
      this.#isBusy = false;
      this.#before = Number(columns.tsRecv(columns.first) / NS_PER_S);
    }
    if (this.#isAsking || line === null || !this.#isTold(state, line, nowMs)) return;
    const stretch = this.#stretch(line);
    if (stretch === null) this.#next = STRETCHES.length;
    else void this.#fill(stretch);
  }

  /** Whether the tables have come to the first column. */
  #isTold({ metrics }: State, line: RecordedLine, nowMs: number): boolean {
    const lagS = metrics?.recording.tablesLagS ?? null;
    if (lagS === null || nowMs - this.#sinceMs < BEHIND_MS) return false;
    if (nowMs - this.#sinceMs >= lagS * 1_000 + BEHIND_MS) return true;
    return BigInt(this.#before) * NS_PER_S < line.end - BigInt(Math.ceil(lagS + 1)) * NS_PER_S;
  }

  /** What is asked for next; null: nothing that was recorded without a break. */
  #stretch(line: RecordedLine): Stretch | null {
    const wanted = STRETCHES[this.#next];
    const endNs = BigInt(this.#before) * NS_PER_S;
    const session = line.stretches.findLast(({ start }) => start < endNs);
    if (wanted === undefined || session === undefined) return null;
    const hole = line.holes.findLast(({ start }) => start < endNs);
    const firstNs = hole !== undefined && hole.end > session.start ? hole.end : session.start;
    const first = Number((firstNs + NS_PER_S - 1n) / NS_PER_S);
    const stepS = this.#isBusy && "busyStepS" in wanted ? wanted.busyStepS : wanted.stepS;
    const aligned = Math.floor((this.#before - wanted.seconds) / ALIGN_S) * ALIGN_S;
    const from = Math.max(aligned, Math.ceil(first / stepS) * stepS);
    return this.#before - from < stepS ? null : { from, to: this.#before, stepS };
  }

  async #fill(stretch: Stretch): Promise<void> {
    const beginning = this.#beginning;
    const number = this.#next;
    const beganMs = performance.now();
    this.#isAsking = true;
    // Whatever becomes of it, it is asked for once.
    this.#next = STRETCHES.length;
    const rows = await this.#asked(stretch).catch((error: unknown) => {
      console.warn("what was recorded before is not shown:", error);
      return null;
    });
    this.#isAsking = false;
    // Meanwhile it may have begun anew, and the next call asks for what is before that.
    if (rows === null || beginning !== this.#record.beginning) return;
    this.#isBusy = rows > BUSY_ROWS_PER_S * (stretch.to - stretch.from);
    this.#before = stretch.from;
    if (performance.now() - beganMs <= SLOW_MS) this.#next = number + 1;
    this.#changed();
  }

  /** -> of how many rows it was made; null where it cannot be told. */
  async #asked(stretch: Stretch): Promise<number | null> {
    const beginning = this.#beginning;
    const book = `/v1/books/${encodeURIComponent(this.#record.key)}`;
    const [from, to] = [stretch.from, stretch.to].map((second) => BigInt(second) * NS_PER_S);
    const interval = stretch.stepS === 1 ? "" : `&interval=${stretch.stepS}s`;
    const [base, levels] = await Promise.all([
      this.#request(`${book}?level=2&depth=${RECORDED_LEVELS}&at=${from}`),
      this.#request(`${book}/history/levels?start=${from}&end=${to}&limit=${ROWS_MAX}${interval}`),
    ]);
    const isNew = base.kind === "refused" && base.problem.status === 404;
    if ((base.kind !== "ok" && !isNew) || levels.kind !== "ok" || beginning !== this.#record.beginning) return null;
    const rows = parseLevelRows(levels.body);
    if (rows === null) return null;
    this.#record.prepend(stepsOf(base.kind === "ok" ? parseBook(base.body, RECORDED_LEVELS) : null, rows, stretch), stretch.stepS);
    return rows.length;
  }
}
