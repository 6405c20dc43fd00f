/** Keeps the page and its address the same: the instrument, the moment, the view. */

import { formatAddress, isoTime, parseAddress, timesWritten, type Address, type View } from "./address";
import { NO_LONGER_RECORDED } from "./feed/feed";
import { plainName } from "./instrument-name";
import type { ReplayCommands } from "./replay-commands";
import { failureOf } from "./replay-commands";
import type { State } from "./state";

/** Browsers refuse an address that is changed too often: Safari one of more than a hundred changes in half a minute. */
const ADDRESS_INTERVAL_MS = 400;
/** Nothing was said of the moment itself: it is asked for again. */
const UNANSWERED = new Set(["no_stream", "connection_lost"]);

export interface NavigationHandlers {
  select(instrument: string): void;
  show(view: View): void;
}

export class Navigation {
  readonly #state: State;
  readonly #commands: ReplayCommands;
  readonly #handlers: NavigationHandlers;
  #address: Address = { instrument: null, at: null, view: "book" };
  /** A moment to go to when there is a connection. */
  #pending: string | null = null;
  #writtenAtMs = -Infinity;

  constructor(state: State, commands: ReplayCommands, handlers: NavigationHandlers) {
    this.#state = state;
    this.#commands = commands;
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
    const { instrument, ...others } = { ...this.#shown, ...changes };
    location.hash = formatAddress({ instrument: instrument === null ? null : this.#named(instrument), ...others });
  }

  /** Does what the address says. */
  follow(): void {
    const before = this.#address;
    this.#address = parseAddress(location.hash);
    const { instrument, at, view } = this.#address;
    if (instrument !== null && !this.#isSelected(instrument)) this.#handlers.select(instrument);
    if (view !== before.view) this.#handlers.show(view);
    if (at === before.at) return;
    this.#pending = at;
    if (at === null) this.#commands.ask({ do: "live" });
    this.write(performance.now());
  }

  /** Brings the page to its address, or the address to where the page has gone. */
  write(nowMs: number): void {
    const { link, replay } = this.#state;
    if (this.#pending !== null) {
      if (link.state !== "open" || link.via !== "stream") return;
      this.#open(this.#pending);
    } else if (this.#commands.isBusy) {
      // Neither where it was nor where it will be.
      return;
    } else if (replay === null) {
      if (this.#address.at !== null) this.#replace(null);
    } else if (replay.state === "paused" && nowMs - this.#writtenAtMs >= ADDRESS_INTERVAL_MS) {
      const at = this.#moment();
      if (at === null || at === this.#address.at) return;
      this.#writtenAtMs = nowMs;
      this.#replace(at);
    }
  }

  /** An address that shows what is on view now, also to somebody else, and later. */
  link(): string {
    const { metrics, replay } = this.#state;
    const isKept = replay !== null || metrics?.recording.state === "recording";
    const at = isKept ? this.#moment() : null;
    return `${location.origin}${location.pathname}#${formatAddress({ ...this.#shown, at })}`;
  }

  /** What the address says, and of a page that was opened without one, which instrument it shows. */
  get #shown(): Address {
    const { selected } = this.#state;
    return { ...this.#address, instrument: selected === null ? this.#address.instrument : this.#named(selected) };
  }

  #named(instrument: string): string {
    return plainName(this.#state.instruments ?? [], instrument);
  }

  /** Also under another of its names: it is on view, and is not begun anew. */
  #isSelected(instrument: string): boolean {
    const { selected } = this.#state;
    return selected !== null && this.#named(selected) === this.#named(instrument);
  }

  #open(at: string): void {
    this.#pending = null;
    const onRefused = (error: unknown): void => {
      const { code, detail } = error as { readonly code?: string; readonly detail?: string };
      if (code !== undefined && UNANSWERED.has(code)) {
        if (this.#address.at === at) this.#pending ??= at;
        return;
      }
      const title = "That moment cannot be shown";
      const problem = { status: 0, title, detail: detail === undefined ? failureOf(error).text : timesWritten(detail), code: code ?? "", traceId: "", choices: [] };
      this.#state.onProblem("replay", problem);
    };
    this.#commands.ask({ do: "open", at, onRefused });
  }

  /**
   * By the venue's time, which is what the past is asked for by: it leads to just this book. Until a book of the past is
   * there, it is what was asked for; never the clock of the replay, which is that of the receipt, and leads to a later one.
   */
  #moment(): string | null {
    const { book, replay, problems } = this.#state;
    // What was gone to is not what is on view: the address stays, until the reader goes elsewhere.
    if (problems.get("replay")?.code === NO_LONGER_RECORDED) return this.#address.at;
    if (book !== null && book.tsEvent !== "0") return isoTime(book.tsEvent);
    return replay === null ? null : (this.#commands.askedFor ?? this.#address.at);
  }

  #replace(at: string | null): void {
    this.#address = { ...this.#shown, at };
    history.replaceState(null, "", `#${formatAddress(this.#address)}`);
  }
}
