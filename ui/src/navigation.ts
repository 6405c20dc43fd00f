/** Keeps the page and its address the same: the instrument, the moment, the view. */

import { formatAddress, isoTime, parseAddress, type Address, type View } from "./address";
import { FeedRefusal, type Travel } from "./feed/feed";
import type { State } from "./state";

/** Browsers refuse an address that is changed too often. */
const ADDRESS_INTERVAL_MS = 1_000;

export interface NavigationHandlers {
  select(instrument: string): void;
  show(view: View): void;
}

export class Navigation {
  readonly #state: State;
  readonly #travel: Travel;
  readonly #handlers: NavigationHandlers;
  #address: Address = { instrument: null, at: null, view: "book" };
  /** A moment to go to when there is a connection. */
  #pending: string | null = null;
  #writtenAtMs = -Infinity;

  constructor(state: State, travel: Travel, handlers: NavigationHandlers) {
    this.#state = state;
    this.#travel = travel;
    this.#handlers = handlers;
    window.addEventListener("hashchange", () => {
      this.follow();
    });
  }

  get view(): View {
    return this.#address.view;
  }

  /** The reader's choice is also the address, to be kept or passed on. */
  go(changes: Partial<Address>): void {
    location.hash = formatAddress({ ...this.#address, ...changes });
  }

  /** Does what the address says. */
  follow(): void {
    const before = this.#address;
    this.#address = parseAddress(location.hash);
    const { instrument, at, view } = this.#address;
    if (instrument !== null && instrument !== this.#state.selected) this.#handlers.select(instrument);
    if (view !== before.view) this.#handlers.show(view);
    if (at === before.at) return;
    this.#pending = at;
    if (at === null && this.#state.replay !== null) void this.#try(this.#travel.live());
    this.write(performance.now());
  }

  /** Brings the page to its address, or the address to where the page has gone. */
  write(nowMs: number): void {
    const { link, replay } = this.#state;
    if (this.#pending !== null) {
      if (link.state !== "open" || link.via !== "stream") return;
      const at = this.#pending;
      this.#pending = null;
      void this.#try(this.#travel.replay(at, { paused: true }));
    } else if (replay === null && this.#address.at !== null && !this.#isTravelling) {
      this.#replace(null);
    } else if (replay?.state === "paused" && nowMs - this.#writtenAtMs >= ADDRESS_INTERVAL_MS) {
      const at = this.#moment();
      if (at === null || at === this.#address.at) return;
      this.#writtenAtMs = nowMs;
      this.#replace(at);
    }
  }

  /** An address that shows what is on view now, also to somebody else, and later. */
  link(): string {
    const { metrics, selected, replay } = this.#state;
    const isKept = replay !== null || metrics?.recording.state === "recording";
    const at = isKept ? this.#moment() : null;
    return `${location.origin}${location.pathname}#${formatAddress({ ...this.#address, instrument: selected, at })}`;
  }

  #isTravelling = false;

  async #try(travelled: Promise<void>): Promise<void> {
    this.#isTravelling = true;
    try {
      await travelled;
    } catch (error) {
      if (!(error instanceof FeedRefusal)) throw error;
      const { code, detail } = error;
      this.#state.onProblem("replay", { status: 0, title: "That moment cannot be shown", detail, code, traceId: "", choices: [] });
    } finally {
      this.#isTravelling = false;
    }
  }

  /** By the venue's time, which is what the past is asked for by: it leads to just this book. */
  #moment(): string | null {
    const { book, replay } = this.#state;
    const ns = book?.tsEvent ?? replay?.ts ?? "0";
    return ns === "0" ? null : isoTime(ns);
  }

  #replace(at: string | null): void {
    this.#address = { ...this.#address, at };
    history.replaceState(null, "", `#${formatAddress(this.#address)}`);
  }
}
