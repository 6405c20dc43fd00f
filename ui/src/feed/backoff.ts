/** How long to wait before the next attempt to reach a server that does not answer. */

export const RETRY_DELAY_MIN_MS = 500;
export const RETRY_DELAY_MAX_MS = 8_000;
/** Spread of the delay, so that the pages of a restarted server do not all return in the same instant. */
export const RETRY_JITTER_RATIO = 0.2;

/** `attempt` counts failures from 1; `random` is uniform in [0, 1). */
export function retryDelayMs(attempt: number, random: () => number): number {
  const steady = Math.min(RETRY_DELAY_MAX_MS, RETRY_DELAY_MIN_MS * 2 ** (attempt - 1));
  return steady * (1 + RETRY_JITTER_RATIO * (random() * 2 - 1));
}
