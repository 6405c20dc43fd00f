/** Fills the heatmap with what was recorded before its first column: newest first, within bounds, and again where the server could not. */

import { retryDelayMs } from "./feed/backoff";
import { comeAgain, ComeAgain } from "./feed/come-again";
import type { Answer } from "./feed/request";
import { parseBook } from "./feed/wire";
import { COLUMNS_MAX } from "./heatmap-columns";
import type { HeatmapRecord } from "./heatmap-record";
import { NS_PER_S, parseLevelRows, RECORDED_LEVELS, stepsOf, type Stretch } from "./heatmap-recorded";
import { areTablesAt } from "./recorded-tables";
import type { RecordedLine } from "./replay-line";
import type { State } from "./state";

/** All stretches begin and end at multiples of this, as the server's intervals do. */
const ALIGN_S = 10;
/** Of which the newest is as fine as the tables are, and those further back are coarser; where one answer does not hold all, the next choice. */
const STRETCHES: readonly (readonly (readonly [seconds: number, stepS: number])[])[] = [
  [[10, 1], [0, 1]],
  [[50, 1], [50, 5], [50, 10]],
  [[240, 10]],
];
/** An answer holds so many levels, some 100 bytes each; where there are more by the last choice, it is not filled any further. */
export const ROWS_MAX = 4_000;
/** Where more levels change in a second, the stretch behind begins with its second choice. */
const BUSY_ROWS_PER_S = 60;
/** A line or a server that needs longer for a stretch has so long to itself before the next one is asked for. */
const SLOW_MS = 2_000;
const SLOW_PAUSE_MS = 8_000;

type Request = (path: string) => Promise<Answer>;

export class HeatmapPast {
  readonly #record: HeatmapRecord;
  readonly #request: Request;
  readonly #changed: () => void;
  /** Which beginning of the record is being filled, and since when it is known. */
  #beginning = -1;
  #sinceMs = 0;
  /** The next of STRETCHES, which choice of it, and the second before which it ends. */
  #next = 0;
  #choice = 0;
  #before = 0;
  #isBusy = false;
  #isAsking = false;
  /** Tries of this stretch that came to nothing, and when the next one may be made. */
  #failures = 0;
  #notBeforeMs = 0;
  readonly #random: () => number;

  /** `changed`: there is more to be shown; `random` is uniform in [0, 1). */
  constructor(record: HeatmapRecord, request: Request, changed: () => void, random: () => number = Math.random) {
    this.#record = record;
    this.#request = request;
    this.#changed = changed;
    this.#random = random;
  }

  /** To be called often: asks when there is something to ask for. */
  refresh(state: State, line: RecordedLine | null, nowMs: number): void {
    const { columns, beginning } = this.#record;
    if (columns.length === 0) return;
    if (beginning !== this.#beginning) {
      this.#beginning = beginning;
      this.#sinceMs = nowMs;
      this.#next = this.#choice = 0;
      this.#isBusy = false;
      this.#failures = 0;
      this.#notBeforeMs = 0;
      this.#before = Number(columns.tsRecv(columns.first) / NS_PER_S);
    }
    if (this.#isAsking || nowMs < this.#notBeforeMs || line === null) return;
    if (!areTablesAt(BigInt(this.#before) * NS_PER_S, this.#sinceMs, state, line, nowMs)) return;
    // Where all room is taken, the first column is no more the one that it was to stand in front of.
    const stretch = columns.length < COLUMNS_MAX ? this.#stretch(line) : null;
    if (stretch === null) this.#next = STRETCHES.length;
    else void this.#fill(stretch, nowMs);
  }

  /** What is asked for next; null: nothing that was recorded without a break. */
  #stretch(line: RecordedLine): Stretch | null {
    const firstNs = line.unbrokenFrom(BigInt(this.#before) * NS_PER_S);
    if (firstNs === null) return null;
    const first = Number((firstNs + NS_PER_S - 1n) / NS_PER_S);
    for (let wanted = this.#wanted; wanted !== undefined; wanted = this.#wanted) {
      const [seconds, stepS] = wanted;
      const aligned = Math.floor((this.#before - seconds) / ALIGN_S) * ALIGN_S;
      const from = Math.max(aligned, Math.ceil(first / stepS) * stepS);
      if (this.#before - from >= stepS) return { from, to: this.#before, stepS };
      this.#goOn();
    }
    return null;
  }

  get #wanted() {
    return STRETCHES[this.#next]?.[this.#choice];
  }

  #goOn(): void {
    this.#next += 1;
    this.#choice = Math.min(Number(this.#isBusy), (STRETCHES[this.#next]?.length ?? 1) - 1);
  }

  async #fill(stretch: Stretch, nowMs: number): Promise<void> {
    const beginning = this.#beginning;
    const beganMs = performance.now();
    this.#isAsking = true;
    const rows = await this.#asked(stretch).catch((error: unknown) => {
      if (error instanceof ComeAgain) return error;
      console.warn("what was recorded before is not shown:", error);
      return null;
    });
    this.#isAsking = false;
    // Meanwhile it may have begun anew, and the next call asks for what is before that.
    if (beginning !== this.#record.beginning) return;
    const tookMs = performance.now() - beganMs;
    if (rows instanceof ComeAgain) {
      this.#failures += 1;
      this.#notBeforeMs = nowMs + tookMs + Math.max(rows.afterMs, retryDelayMs(this.#failures, this.#random));
    } else if (rows === null) {
      this.#next = STRETCHES.length;
    } else if (rows === Infinity) {
      this.#isBusy = true;
      this.#choice += 1;
    } else {
      this.#isBusy = rows > BUSY_ROWS_PER_S * (stretch.to - stretch.from);
      this.#before = stretch.from;
      this.#failures = 0;
      if (tookMs > SLOW_MS) this.#notBeforeMs = nowMs + tookMs + SLOW_PAUSE_MS;
      this.#goOn();
      this.#changed();
    }
  }

  /** -> of how many rows it was made; Infinity: of more than one answer holds; null where it cannot be told. Throws ComeAgain where it may be later. */
  async #asked(stretch: Stretch): Promise<number | null> {
    const beginning = this.#beginning;
    const book = `/v1/books/${encodeURIComponent(this.#record.key)}`;
    const [from, to] = [stretch.from, stretch.to].map((second) => BigInt(second) * NS_PER_S);
    const interval = stretch.stepS === 1 ? "" : `&interval=${stretch.stepS}s`;
    const [base, levels] = await Promise.all([
      this.#request(`${book}?level=2&depth=${RECORDED_LEVELS}&at=${from}`),
      this.#request(`${book}/history/levels?start=${from}&end=${to}&limit=${ROWS_MAX}${interval}`),
    ]);
    const again = [base, levels].map(comeAgain).filter((each) => each !== null);
    if (again[0] !== undefined) throw new ComeAgain(again[0].message, Math.max(...again.map(({ afterMs }) => afterMs)));
    const isNew = base.kind === "refused" && base.problem.status === 404;
    if ((base.kind !== "ok" && !isNew) || levels.kind !== "ok" || beginning !== this.#record.beginning) return null;
    const rows = parseLevelRows(levels.body);
    if (rows === null) return Infinity;
    this.#record.prepend(stepsOf(base.kind === "ok" ? parseBook(base.body, RECORDED_LEVELS) : null, rows, stretch), stretch.stepS);
    return rows.length;
  }
}
