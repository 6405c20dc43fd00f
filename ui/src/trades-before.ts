/**
 * The trades of the last minute before a time gone to, from the recording: who goes there is told by the stream of those
 * after it alone. Asked for once for each place, from the first book there on back, by stretches: only the newest matter
 * where there are more than anybody looks at.
 */

import { parseTrades } from "./client/messages";
import { comeAgain, ComeAgain } from "./feed/come-again";
import type { Reset, Trade } from "./feed/feed";
import { fields } from "./feed/fields";
import type { Answer } from "./feed/request";
import { keyOf, type Book } from "./feed/wire";
import { areTablesAt } from "./recorded-tables";
import type { RecordedLine } from "./replay-line";
import { NS_PER_S } from "./replay-time";
import type { State } from "./state";

/** What is asked for goes so far back, the newest first. */
const STRETCHES_S = [1n, 10n, 60n] as const;
/** An answer holds so many trades, some 200 bytes each; a stretch that has more is left out, and what is before it. */
export const TRADES_MAX = 4_000;
/** What the server could not answer is asked for again, but not before this. */
const RETRY_MS = 3_000;

export interface TradesBefore {
  /** From here on all of them are known, by ts_recv. */
  readonly sinceNs: bigint;
  /** Oldest first. */
  readonly trades: readonly Trade[];
}

/** The first book after a jump, and when it came. */
interface Place {
  readonly book: Pick<Book, "publisherId" | "instrumentId" | "tsEvent" | "tsRecv">;
  readonly sinceMs: number;
}

type Request = (path: string) => Promise<Answer>;

export class RecordedTrades {
  readonly #request: Request;
  readonly #told: (before: TradesBefore) => void;
  #hasMoved = false;
  /** Null: nothing is to be asked for. */
  #place: Place | null = null;
  #isAsking = false;
  #notBeforeMs = 0;

  /** `told`: once for each place of which the tables tell. */
  constructor(request: Request, told: (before: TradesBefore) => void) {
    this.#request = request;
    this.#told = told;
  }

  /** Answers of where the page was are of no use any more. In an epoch that begins anew nobody has gone anywhere. */
  reset(why: Reset): void {
    this.#hasMoved = why === "moved";
    this.#place = null;
    this.#notBeforeMs = 0;
  }

  takeDepth(book: Book, isPast: boolean, nowMs: number): void {
    if (this.#hasMoved && isPast) this.#place = { book, sinceMs: nowMs };
    this.#hasMoved = false;
  }

  /** To be called often: asks when there is something to ask for. */
  refresh(state: Pick<State, "metrics">, line: RecordedLine | null, nowMs: number): void {
    const place = this.#place;
    if (place === null || line === null || this.#isAsking || nowMs < this.#notBeforeMs) return;
    if (areTablesAt(BigInt(place.book.tsRecv), place.sinceMs, state, line, nowMs)) void this.#ask(place, line, nowMs);
  }

  async #ask(place: Place, line: RecordedLine, nowMs: number): Promise<void> {
    const beganMs = performance.now();
    this.#isAsking = true;
    const before = await this.#before(place, line).catch((error: unknown) => {
      if (error instanceof ComeAgain) return error;
      console.warn("trades before are not shown:", error);
      return null;
    });
    this.#isAsking = false;
    if (place !== this.#place) return;
    if (before instanceof ComeAgain) {
      this.#notBeforeMs = performance.now() - beganMs + nowMs + Math.max(before.afterMs, RETRY_MS);
      return;
    }
    this.#place = null;
    if (before !== null) this.#told(before);
  }

  /** Null: nothing is known. */
  async #before(place: Place, line: RecordedLine): Promise<TradesBefore | null> {
    const { tsEvent, tsRecv } = place.book;
    const atNs = BigInt(tsRecv);
    const firstNs = line.unbrokenFrom(atNs + 1n);
    if (firstNs === null) return null;
    let trades: readonly Trade[] = [];
    let sinceNs = atNs + 1n;
    for (const seconds of STRETCHES_S) {
      const wantedNs = atNs - seconds * NS_PER_S;
      const startNs = wantedNs > firstNs ? wantedNs : firstNs;
      if (startNs >= sinceNs || place !== this.#place) break;
      const stretch = await this.#stretch(place, startNs, sinceNs);
      if (stretch === null) break;
      trades = [...stretch, ...trades];
      sinceNs = startNs;
    }
    // By ts_recv some of those asked for may be of events that the book does not have yet.
    const then = BigInt(tsEvent);
    return sinceNs > atNs ? null : { sinceNs, trades: trades.filter((trade) => BigInt(trade.tsEvent) <= then) };
  }

  /** Null: there is no answer, or more than one holds. */
  async #stretch({ book }: Place, startNs: bigint, endNs: bigint): Promise<readonly Trade[] | null> {
    const path = `/v1/books/${encodeURIComponent(keyOf(book))}/history/trades`;
    const answer = await this.#request(`${path}?start=${startNs}&end=${endNs}&limit=${TRADES_MAX}`);
    const again = comeAgain(answer);
    if (again !== null) throw again;
    if (answer.kind !== "ok") return null;
    const told = fields(answer.body, "answer");
    return told["next_cursor"] === undefined ? parseTrades(told) : null;
  }
}
