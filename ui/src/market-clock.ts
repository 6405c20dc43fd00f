/**
 * Where the market's time has come to between two books, and how fast it goes by the page's: as fast in a live market, by its speed
 * in a replay, and by whatever it is read with in a recording that a server plays as its source.
 */

/** A book comes so long after the one before where much happens; only what takes longer is a market that stands still. */
const QUIET_MS = 250;
/** The pace is that of so long. */
const MEASURED_MS = 10_000;
/** Less says nothing of it. */
const MEASURED_MIN_MS = 1_000;
const MARK_INTERVAL_MS = 500;
const NS_PER_MS = 1e6;

interface Mark {
  /** ns of the market's time. */
  readonly at: number;
  readonly ms: number;
}

export class MarketClock {
  /** Some of what was told lately, oldest first. */
  #marks: readonly Mark[] = [];
  #last: Mark | null = null;

  /** It is this time now: a book has come. */
  take(at: number, nowMs: number): void {
    this.#last = { at, ms: nowMs };
    const newest = this.#marks.at(-1);
    if (newest !== undefined && nowMs - newest.ms < MARK_INTERVAL_MS) return;
    const oldest = this.#marks.findLastIndex(({ ms }) => ms <= nowMs - MEASURED_MS);
    this.#marks = [...this.#marks.slice(Math.max(0, oldest)), this.#last];
  }

  /** It goes on from here: the book that has come may be an old one, and says nothing of how fast. */
  restart(at: number, nowMs: number): void {
    this.#marks = [];
    this.#last = { at, ms: nowMs };
  }

  /** The market's time by the page's, 1 for as fast; null where that is not known yet. */
  get pace(): number | null {
    const [oldest, newest] = [this.#marks[0], this.#marks.at(-1)];
    if (oldest === undefined || newest === undefined || newest.ms - oldest.ms < MEASURED_MIN_MS) return null;
    return Math.max(0, newest.at - oldest.at) / ((newest.ms - oldest.ms) * NS_PER_MS);
  }

  /** The time now, if nothing has happened since: time goes on in a quiet market, at its pace, and never faster than `paceMax`. */
  now(nowMs: number, paceMax: number): number {
    if (this.#last === null) return -Infinity;
    const pace = Math.min(paceMax, this.pace ?? 1);
    return this.#last.at + Math.max(0, nowMs - this.#last.ms - QUIET_MS) * NS_PER_MS * pace;
  }
}
