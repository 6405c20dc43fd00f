/** What is known of the book beside its levels: state, facts, and the top of the book. */

import { parseDecimal, withDecimals } from "../decimal";
import { byTestId, setData, setHidden, setText, setTitle } from "../dom";
import { formatInteger, formatTime, MISSING, plural, withMinus } from "../format";
import type { Book, Level } from "../feed/wire";
import { nameOf, type Standing, type State } from "../state";
import { spreadOf } from "./ladder-model";
import { PriceWidth } from "./price-width";

/** The spoken summary is polite: no more often than this, and only when it says something new. */
const SPOKEN_INTERVAL_MS = 10_000;

export class SummaryPane {
  readonly #state = byTestId("book-state", HTMLElement);
  readonly #crossed = byTestId("crossed", HTMLElement);
  readonly #locked = byTestId("locked", HTMLElement);
  readonly #ended = byTestId("ended", HTMLElement);
  readonly #seq = byTestId("seq", HTMLElement);
  readonly #epoch = byTestId("epoch", HTMLElement);
  readonly #sequence = byTestId("sequence", HTMLElement);
  readonly #time = byTestId("ts-event", HTMLElement);
  readonly #orders = byTestId("orders", HTMLElement);
  readonly #bid = byTestId("best-bid", HTMLElement);
  readonly #bidDetail = byTestId("best-bid-detail", HTMLElement);
  readonly #ask = byTestId("best-ask", HTMLElement);
  readonly #askDetail = byTestId("best-ask-detail", HTMLElement);
  readonly #spread = byTestId("spread", HTMLElement);
  readonly #spreadLabel = byTestId("spread-label", HTMLElement);
  readonly #imbalance = byTestId("imbalance", HTMLElement);
  readonly #imbalanceBid = byTestId("imbalance-bid", HTMLElement);
  readonly #imbalanceAsk = byTestId("imbalance-ask", HTMLElement);
  readonly #spoken = byTestId("spoken", HTMLElement);
  readonly #width = new PriceWidth();
  #spokenAtMs = -Infinity;
  #spokenState = "";

  write(state: State, nowMs: number): void {
    const { book } = state;
    const standing = state.standing();
    const isStale = state.staleForMs() !== null;
    // The epochs of a replay are its own: in another tab the same moment has others.
    const isPast = state.replay !== null;
    const pill = statePill(book, standing, isStale);
    setText(this.#state, pill.text);
    setData(this.#state, "state", pill.state);
    setTitle(this.#state, pill.title);
    setHidden(this.#ended, standing !== "ended");
    setHidden(this.#crossed, book?.crossed !== true);
    setHidden(this.#locked, book?.locked !== true);
    setText(this.#seq, formatInteger(book?.seq));
    setText(this.#epoch, isPast ? MISSING : (book?.epoch ?? MISSING));
    if (this.#epoch.parentElement !== null) setHidden(this.#epoch.parentElement, isPast);
    setText(this.#sequence, formatInteger(book?.sequence));
    const time = formatTime(book?.tsEvent ?? "");
    setText(this.#time, time.short);
    setTitle(this.#time, time.exact);
    setText(this.#orders, formatInteger(book?.orders));
    this.#writeTop(book);
    this.#writeImbalance(book, state.preferences.depth);
    this.#speak(book, standing, isStale, nowMs);
  }

  #writeTop(book: Book | null): void {
    this.#width.write(book);
    const { decimals } = this.#width;
    const [bid, ask] = [book?.bids[0], book?.asks[0]];
    setText(this.#bid, bid === undefined ? MISSING : withDecimals(bid.price, decimals));
    setText(this.#ask, ask === undefined ? MISSING : withDecimals(ask.price, decimals));
    setText(this.#bidDetail, detail(bid));
    setText(this.#askDetail, detail(ask));
    const spread = book === null ? null : spreadOf(book);
    setText(this.#spread, spread === null ? MISSING : withDecimals(spread.replace("-", ""), decimals));
    const sign = spread === null ? 1n : parseDecimal(spread);
    setText(this.#spreadLabel, sign > 0n ? "spread" : sign === 0n ? "locked" : "crossed by");
    setData(this.#spread, "sign", sign > 0n ? "" : sign === 0n ? "locked" : "crossed");
  }

  /** The shares of both sides in the size of the levels shown. */
  #writeImbalance(book: Book | null, depth: number): void {
    const size = (levels: readonly Level[]): number => levels.slice(0, depth).reduce((sum, level) => sum + level.size, 0);
    const [bids, asks] = [size(book?.bids ?? []), size(book?.asks ?? [])];
    const share = bids + asks === 0 ? null : bids / (bids + asks);
    this.#imbalance.style.setProperty("--bid-share", String(share ?? 0.5));
    setData(this.#imbalance, "known", share === null ? "no" : "yes");
    const percent = share === null ? null : Math.round(share * 100);
    setText(this.#imbalanceBid, percent === null ? MISSING : `B ${percent} %`);
    setText(this.#imbalanceAsk, percent === null ? MISSING : `${100 - percent} % A`);
  }

  #speak(book: Book | null, standing: Standing, isStale: boolean, nowMs: number): void {
    if (book === null) return;
    // A state or a crossing is news at once; prices wait.
    const state = `${book.instrumentId} ${book.state} ${standing} ${isStale} ${book.crossed} ${book.locked}`;
    if (state === this.#spokenState && nowMs - this.#spokenAtMs < SPOKEN_INTERVAL_MS) return;
    this.#spokenState = state;
    this.#spokenAtMs = nowMs;
    setText(this.#spoken, spokenSummary(book, standing, isStale));
  }
}

export interface StatePill {
  readonly text: string;
  /** What colours it: a book that is only remembered has no colour. */
  readonly state: string;
  readonly title: string;
}

export function statePill(book: Book | null, standing: Standing, isStale = false): StatePill {
  if (book === null) return { text: "no book", state: "none", title: "State of the book" };
  if (standing === "past") {
    // "live" is the word for a book in order; of the past it would say the opposite of what is meant.
    const isInOrder = book.state === "live";
    const title = `The book of a past moment; its state then was ${book.state}`;
    return { text: isInOrder ? "past" : `past · ${book.state}`, state: isInOrder ? "past" : book.state, title };
  }
  if (standing === "last-known") {
    return { text: "last known", state: "last-known", title: `The book is not current; its last known state was ${book.state}` };
  }
  if (isStale && book.state === "live") {
    return { text: "stale", state: "stale", title: "Nothing new comes, although the source runs; the book was live" };
  }
  return { text: book.state, state: book.state, title: "State of the book" };
}

export function spokenSummary(book: Book, standing: Standing, isStale = false): string {
  const side = (name: string, level: Level | undefined): string =>
    level === undefined ? `no ${name}` : `best ${name} ${withMinus(level.price)}, size ${level.size} in ${plural(level.count, "order")}`;
  const flags = book.crossed ? ", crossed" : book.locked ? ", locked" : "";
  return `${nameOf(book)}: ${statePill(book, standing, isStale).text}${flags}; ${side("bid", book.bids[0])}; ${side("ask", book.asks[0])}.`;
}

function detail(level: Level | undefined): string {
  return level === undefined ? "no orders" : `${formatInteger(level.size)} in ${plural(level.count, "order")}`;
}
