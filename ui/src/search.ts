/** Instruments by what was typed: the best found first. */

import { keyOf, type Instrument } from "./feed/wire";
import { nameOf } from "./state";

/** More than this is no list to read; typing narrows it. */
export const SHOWN_MAX = 100;

export interface Found {
  readonly shown: readonly Instrument[];
  /** How many more there are. */
  readonly hidden: number;
}

/** Each word typed has to be in the name, the key or the state: "es sus" finds the suspect ones of ES. */
export function searchInstruments(instruments: readonly Instrument[], typed: string): Found {
  const words = typed.trim().toLowerCase().split(/\s+/).filter((word) => word !== "");
  const ranked = instruments.flatMap((instrument) => {
    const rank = rankOf(instrument, words);
    return rank === null ? [] : [{ instrument, rank }];
  });
  // Sorting is stable: within a rank they stay in the server's order.
  const sorted = words.length === 0 ? ranked : ranked.sort((a, b) => a.rank - b.rank);
  return {
    shown: sorted.slice(0, SHOWN_MAX).map(({ instrument }) => instrument),
    hidden: Math.max(0, sorted.length - SHOWN_MAX),
  };
}

/** The sum of its words' ranks, smaller is better; null where a word is not found. */
function rankOf(instrument: Instrument, words: readonly string[]): number | null {
  const [name, key] = [nameOf(instrument).toLowerCase(), keyOf(instrument)];
  let sum = 0;
  for (const word of words) {
    if (name === word || key === word) sum += 0;
    else if (name.startsWith(word)) sum += 1;
    else if (name.includes(word)) sum += 2;
    else if (key.includes(word)) sum += 3;
    else if (instrument.state.startsWith(word)) sum += 4;
    else return null;
  }
  return sum;
}
