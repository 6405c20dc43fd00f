/** The numbers at an axis: all with the same unit and the same decimals, so that they can be compared at a glance. */

import { formatInteger, withMinus } from "./format";

export interface AxisUnit {
  /** The largest number from which it is taken. */
  readonly from: number;
  readonly size: number;
  readonly suffix: string;
}

/** Numbers below ten thousand are written out. */
export const COUNT_UNITS: readonly AxisUnit[] = [
  { from: 1e9, size: 1e9, suffix: "G" },
  { from: 1e6, size: 1e6, suffix: "M" },
  { from: 1e4, size: 1e3, suffix: "k" },
];

/** Of nanoseconds. */
export const DURATION_UNITS: readonly AxisUnit[] = [
  { from: 1e9, size: 1e9, suffix: " s" },
  { from: 1e6, size: 1e6, suffix: " ms" },
  { from: 1e3, size: 1e3, suffix: " µs" },
  { from: 0, size: 1, suffix: " ns" },
];

const DECIMALS_MAX = 9;

/** `values` rise by equal steps. */
export function axisTexts(values: readonly number[], units: readonly AxisUnit[]): string[] {
  const [first = 0, second = first] = values;
  const largest = values.at(-1) ?? 0;
  const { size, suffix } = units.find(({ from }) => largest >= from) ?? { size: 1, suffix: "" };
  const decimals = decimalsOfStep((second - first) / size);
  return values.map((value) => {
    if (value === 0) return "0";
    const text = decimals === 0 ? formatInteger(Math.round(value / size)) : withMinus((value / size).toFixed(decimals));
    return text + suffix;
  });
}

function decimalsOfStep(step: number): number {
  for (let decimals = 0; decimals < DECIMALS_MAX; decimals += 1) {
    const scaled = step * 10 ** decimals;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6) return decimals;
  }
  return DECIMALS_MAX;
}
