/**
 * Numbers over time, kept in the browser: each second of the last quarter of an hour, and minutes of a day before it.
 * Bounded, oldest first.
 */

/** Every sample of so long ago is kept as it came. */
export const FINE_SPAN_MS = 15 * 60_000;
/** What is older is kept as one row a minute. */
export const COARSE_STEP_MS = 60_000;
export const COARSE_ROWS_MAX = 24 * 60;
/** Samples come once a second; the spare ones are for those that come early. */
export const FINE_ROWS_MAX = 1_000;
/** Samples further apart than this are not joined: the page was not told what lay between. */
const GAP_MS = 3_500;

export type Value = number | null;

interface Row {
  readonly atMs: number;
  readonly values: readonly Value[];
}

/** How the samples of a minute become one: rates by their mean, what is worth knowing at its worst by the largest. */
export type Fold = "mean" | "max";

export interface Columns {
  /** UNIX time in s. */
  readonly x: readonly number[];
  /** One array for each column asked for; null where there was nothing to measure. */
  readonly y: readonly (readonly Value[])[];
}

export class TimeRows {
  readonly #folds: readonly Fold[];
  #fine: Row[] = [];
  #coarse: Row[] = [];
  /** Rows of the minute that is being folded. */
  #minute: Row[] = [];

  constructor(folds: readonly Fold[]) {
    this.#folds = folds;
  }

  get length(): number {
    return this.#coarse.length + this.#fine.length;
  }

  /** `atMs`: UNIX time. A clock that was set back begins anew. */
  push(atMs: number, values: readonly Value[]): void {
    if (values.length !== this.#folds.length) {
      throw new Error(`a row of ${this.#folds.length} values expected, got ${values.length}`);
    }
    const last = this.#fine.at(-1);
    if (last !== undefined && atMs <= last.atMs) {
      this.#fine = [];
      this.#coarse = [];
      this.#minute = [];
    }
    this.#fine.push({ atMs, values });
    const kept = this.#fine.findIndex((row) => row.atMs >= atMs - FINE_SPAN_MS);
    const tooMany = Math.max(kept, this.#fine.length - FINE_ROWS_MAX);
    for (const row of this.#fine.splice(0, tooMany)) this.#age(row);
  }

  /** The rows since a time, of the columns asked for; a row of nulls stands where nothing was told for a while. */
  columns(sinceMs: number, wanted: readonly number[]): Columns {
    const x: number[] = [];
    const y: Value[][] = wanted.map(() => []);
    const put = (atMs: number, values: readonly Value[] | null): void => {
      x.push(atMs / 1000);
      wanted.forEach((column, index) => y[index]?.push(values?.[column] ?? null));
    };
    let previousMs = Infinity;
    const take = (rows: readonly Row[], gapMs: number): void => {
      for (const row of rows) {
        if (row.atMs < sinceMs) continue;
        if (row.atMs - previousMs > gapMs) put(previousMs + 1, null);
        put(row.atMs, row.values);
        previousMs = row.atMs;
      }
    };
    take(this.#coarse, 2 * COARSE_STEP_MS);
    // Between the last whole minute and the first fine row lies what is being folded.
    if (this.#minute.length > 0) take([this.#folded()], 2 * COARSE_STEP_MS);
    const [first] = this.#fine;
    if (first !== undefined && first.atMs - previousMs <= 2 * COARSE_STEP_MS) previousMs = Infinity;
    take(this.#fine, GAP_MS);
    return { x, y };
  }

  #age(row: Row): void {
    const [first] = this.#minute;
    if (first !== undefined && Math.floor(first.atMs / COARSE_STEP_MS) !== Math.floor(row.atMs / COARSE_STEP_MS)) {
      this.#coarse.push(this.#folded());
      this.#minute = [];
      if (this.#coarse.length > COARSE_ROWS_MAX) this.#coarse.shift();
    }
    this.#minute.push(row);
  }

  #folded(): Row {
    const values = this.#folds.map((fold, column) => {
      const known = this.#minute.map((row) => row.values[column] ?? null).filter((value) => value !== null);
      if (known.length === 0) return null;
      return fold === "max" ? Math.max(...known) : known.reduce((sum, value) => sum + value, 0) / known.length;
    });
    return { atMs: this.#minute.at(-1)?.atMs ?? 0, values };
  }
}

export interface Summary {
  readonly last: Value;
  readonly mean: Value;
  readonly max: Value;
}

export function summaryOf(values: readonly Value[]): Summary {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return { last: null, mean: null, max: null };
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return { last: values.at(-1) ?? null, mean, max: known.reduce((max, value) => Math.max(max, value), -Infinity) };
}
