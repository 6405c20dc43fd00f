/**
 * Prices travel as decimal strings. They are compared and subtracted exactly, as integers in units of 1e-9
 * (the unit of the core), and become floats only where a pixel position is computed.
 */

import { withMinus } from "./format";

const DECIMALS = 9;
const SCALE = 10n ** BigInt(DECIMALS);
/** What a price looks like on the wire. */
export const DECIMAL_PATTERN = /^(-?)(\d+)(?:\.(\d{1,9}))?$/;

/** The price in units of 1e-9; throws on anything that is not a plain decimal with at most nine decimals. */
export function parseDecimal(text: string): bigint {
  const match = DECIMAL_PATTERN.exec(text);
  if (match === null) {
    throw new Error(`"${text}" is not a price: expected a decimal string with at most ${DECIMALS} decimals`);
  }
  const [, sign, whole = "0", fraction = ""] = match;
  const units = BigInt(whole) * SCALE + BigInt(fraction.padEnd(DECIMALS, "0"));
  return sign === "-" ? -units : units;
}

/** Of so many prices the units are remembered: a book tells the same ones again and again. */
const REMEMBERED_MAX = 20_000;
const remembered = new Map<string, bigint>();

/** As parseDecimal, for prices that come back with every update. */
export function unitsOf(price: string): bigint {
  const known = remembered.get(price);
  if (known !== undefined) return known;
  const units = parseDecimal(price);
  if (remembered.size >= REMEMBERED_MAX) remembered.clear();
  remembered.set(price, units);
  return units;
}

/** The greatest whole number of steps that is not above; `step` is positive. */
export function floorSteps(units: bigint, step: bigint): bigint {
  const steps = units / step;
  return units < 0n && steps * step !== units ? steps - 1n : steps;
}

/** The smallest whole number of steps that is not below. */
export function ceilSteps(units: bigint, step: bigint): bigint {
  return -floorSteps(-units, step);
}

/** Units of 1e-9 as a decimal string, which the wire would have too, with at least `decimals` decimals, and more where they are not zero. */
export function formatDecimal(units: bigint, decimals: number): string {
  const absolute = units < 0n ? -units : units;
  const fraction = (absolute % SCALE).toString().padStart(DECIMALS, "0").replace(/0+$/, "").padEnd(decimals, "0");
  const whole = (absolute / SCALE).toString();
  return `${units < 0n ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** How many decimals the string carries. */
export function decimalsOf(text: string): number {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - point - 1;
}

/** A price to be read, with all decimals that its neighbours have, so that points and digits stand in one line. */
export function withDecimals(price: string, decimals: number): string {
  const own = decimalsOf(price);
  return withMinus(own >= decimals ? price : `${price}${own === 0 ? "." : ""}${"0".repeat(decimals - own)}`);
}

/** For the geometry of an axis only. */
export function toAxis(units: bigint): number {
  return Number(units) / Number(SCALE);
}
