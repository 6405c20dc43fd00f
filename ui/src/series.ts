/** The last two minutes of a few numbers, one sample a second: bounded, oldest first. */

export const SERIES_SPAN_MS = 120_000;
/** Samples come once a second; the spare ones are for those that come early. */
export const SERIES_SAMPLES_MAX = 150;

export interface Sample {
  readonly atMs: number;
  /** One value per line; null where there was nothing to measure. */
  readonly values: readonly (number | null)[];
}

/** Fine enough that a chart never stands in the lower half of its box. */
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

export class Series {
  readonly lines: number;
  #samples: Sample[] = [];

  constructor(lines: number) {
    this.lines = lines;
  }

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  push(atMs: number, values: readonly (number | null)[]): void {
    if (values.length !== this.lines) throw new Error(`a sample of ${this.lines} values expected, got ${values.length}`);
    this.#samples.push({ atMs, values });
    const oldest = atMs - SERIES_SPAN_MS;
    this.#samples = this.#samples.filter((sample) => sample.atMs >= oldest).slice(-SERIES_SAMPLES_MAX);
  }

  /** The largest value of all lines, 0 when there is none. */
  max(): number {
    return this.#samples.reduce((max, sample) => Math.max(max, ...sample.values.map((value) => value ?? 0)), 0);
  }
}

/** The next round number that holds the value: the top of an axis. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = ROUND.find((candidate) => value <= candidate * power * (1 + 1e-9));
  return (step ?? 10) * power;
}
