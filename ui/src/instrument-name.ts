/** Which instrument a name means, as the HTTP contract has it: a symbol, an instrument_id or publisher_id:instrument_id. */

import { keyOf, type Instrument } from "./feed/wire";

type Named = Pick<Instrument, "symbol" | "publisherId" | "instrumentId">;

/** A symbol of digits could be an id, and one with a slash, or of dots alone, can be no part of a path. */
const NO_NAME = /^[\d:.]+$|\//;
/** So many letters of four may be others in a name that is taken for similar. */
const SLIPS_PER_LETTER = 0.25;

export function isNamed(instrument: Named, name: string | null): boolean {
  return name !== null && [keyOf(instrument), instrument.symbol, String(instrument.instrumentId)].includes(name);
}

/** How the address names it: by the symbol where that means it alone, else by its ids; a name of no instrument, or of several, stays. */
export function plainName(instruments: readonly Named[], name: string): string {
  const [meant, ...others] = instruments.filter((instrument) => isNamed(instrument, name));
  if (meant === undefined || others.length > 0) return name;
  const { symbol } = meant;
  if (symbol === null || NO_NAME.test(symbol)) return keyOf(meant);
  const isItsAlone = instruments.every((each) => each === meant || each.symbol !== symbol);
  return isItsAlone ? symbol : keyOf(meant);
}

/** Those whose symbol may have been meant by a name that none has: the most similar first. */
export function similarlyNamed<T extends Named>(instruments: readonly T[], name: string): T[] {
  const wanted = name.toLowerCase();
  const slipsMax = Math.max(1, Math.floor(wanted.length * SLIPS_PER_LETTER));
  const found = instruments.flatMap((instrument) => {
    const symbol = (instrument.symbol ?? keyOf(instrument)).toLowerCase();
    const isPart = wanted !== "" && (symbol.startsWith(wanted) || (wanted.startsWith(symbol) && symbol !== ""));
    if (!isPart && Math.abs(symbol.length - wanted.length) > slipsMax) return [];
    const slips = slipsBetween(symbol, wanted);
    return isPart || slips <= slipsMax ? [{ instrument, slips }] : [];
  });
  return found.sort((a, b) => a.slips - b.slips).map(({ instrument }) => instrument);
}

/** How many letters were left out, added or mistaken: Levenshtein's distance, a row at a time. */
function slipsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let index = 0; index < a.length; index += 1) {
    const next = [index + 1];
    for (let at = 1; at <= b.length; at += 1) {
      const mistaken = (row[at - 1] ?? 0) + (a[index] === b[at - 1] ? 0 : 1);
      next.push(Math.min(mistaken, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
