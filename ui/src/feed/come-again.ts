/** What the server could not answer now, and may later. */

import type { Answer } from "./request";

/** Of all other refusals, another try would be answered alike. */
const WORTH_ANOTHER_TRY = new Set([408, 429, 502, 503, 504]);

/** Nothing was told, and it may be later. */
export class ComeAgain extends Error {
  /** As far as the server says. */
  readonly afterMs: number;

  constructor(why: string, afterMs: number) {
    super(why);
    this.afterMs = afterMs;
  }
}

/** -> null where another try would be answered alike, or nothing is amiss. */
export function comeAgain(answer: Answer): ComeAgain | null {
  if (answer.kind === "failed") return new ComeAgain(answer.reason, 0);
  if (answer.kind === "aborted") return new ComeAgain("given up", 0);
  if (answer.kind !== "refused" || !WORTH_ANOTHER_TRY.has(answer.problem.status)) return null;
  return new ComeAgain(answer.problem.detail, answer.retryAfterMs ?? 0);
}
