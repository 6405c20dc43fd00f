/** The trade tape: newest on top, large ones marked, held while the reader looks into it. */

import "./tape.css";
import { setData, setHidden, setText, setTitle } from "../dom";
import { formatInteger, formatTime, MISSING } from "../format";
import type { Trade } from "../feed/feed";
import type { Book } from "../feed/wire";
import type { State } from "../state";
import { MinuteFlow } from "../tape-flow";
import { Prints, type Print } from "../tape-prints";
import { continueRun } from "../trade-run";
import type { TradesBefore } from "../trades-before";
import type { Pane, PaneContext } from "../pane";
import { buildTape, type TapeElements } from "./tape-dom";
import { remPx } from "./canvas";
import { TAPE_ROWS_MAX, TapeRows } from "./tape-rows";

/** A snapshot of the channel repeats up to 50. */
const KNOWN_MAX = 64;
/** As the styles have it. */
const ROW_HEIGHT_REM = 1.5;
/** Scrolled further than this, the reader is reading: new rows would push the text away. */
const SCROLLED_PX = 4;

export class TapePane implements Pane {
  readonly #elements: TapeElements;
  readonly #rows: TapeRows;
  readonly #prints = new Prints();
  readonly #flow = new MinuteFlow();
  readonly #repaint: () => void;
  #known: readonly Trade[] = [];
  #isPaused = false;
  #isHovered = false;
  #isScrolled = false;
  /** What is shown while it is held. */
  #held: readonly Print[] | null = null;
  /** From here on the trades before a time gone to are known; null: none of before it are. */
  #knownSinceNs: bigint | null = null;
  /** From here on the page has seen all trades; null: it is still to begin. */
  #seenSinceNs: bigint | null = null;
  /** So many rows are in view. */
  #inView = TAPE_ROWS_MAX;

  constructor(page: PaneContext) {
    const elements = (this.#elements = buildTape(page.root));
    this.#repaint = () => { page.repaint(); };
    this.#rows = new TapeRows(elements.body, (orderId) => { page.actions.selectOrder(orderId); });
    const { scroll } = elements;
    scroll.addEventListener("pointerenter", (event) => { this.#hover(event.pointerType === "mouse"); });
    scroll.addEventListener("pointerleave", () => { this.#hover(false); });
    new ResizeObserver(() => {
      const rowHeightPx = ROW_HEIGHT_REM * remPx();
      // One that is cut off by the edge, and one to scroll to.
      this.#inView = Math.ceil(scroll.clientHeight / rowHeightPx) + 1;
      page.repaint();
    }).observe(scroll);
    // Asked for here and not with every text: after rows have been written the answer would cost a layout.
    scroll.addEventListener("scroll", () => {
      this.#isScrolled = scroll.scrollTop > SCROLLED_PX;
      page.repaint();
    }, { passive: true });
    elements.pause.addEventListener("click", () => {
      this.#isPaused = !this.#isPaused;
      page.repaint();
    });
    elements.resume.addEventListener("click", () => {
      this.#isPaused = this.#isHovered = this.#isScrolled = false;
      scroll.scrollTop = 0;
      page.repaint();
    });
    const regroup = (): void => {
      const sizeMin = Math.max(0, Math.floor(Number(elements.sizeMin.value) || 0));
      this.#prints.setOptions({ isAggregated: elements.aggregate.checked, sizeMin });
      this.#rows.clear();
      this.#held = null;
      page.repaint();
    };
    elements.sizeMin.addEventListener("input", regroup);
    elements.aggregate.addEventListener("change", regroup);
  }

  takeDepth(book: Book): void {
    this.#seenSinceNs ??= BigInt(book.tsRecv);
  }

  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    const { fresh, isWhole } = isSnapshot ? continueRun(this.#known, trades) : { fresh: trades, isWhole: true };
    if (!isWhole) this.#seenSinceNs = null;
    this.#known = [...this.#known, ...fresh].slice(-KNOWN_MAX);
    this.#prints.take(fresh, !isWhole);
    this.#flow.take(fresh);
  }

  takeTradesBefore({ trades, sinceNs }: TradesBefore): void {
    const waiting = this.#prints.shown.length - (this.#held?.length ?? 0);
    this.#prints.takeBefore(trades);
    this.#flow.take(trades);
    this.#knownSinceNs = sinceNs;
    // Older rows push none away: a tape that is held has them, too.
    if (this.#held !== null) this.#held = this.#prints.shown.slice(0, this.#prints.shown.length - waiting);
  }

  reset(): void {
    this.#known = [];
    this.#prints.clear();
    this.#flow.clear();
    this.#rows.clear();
    this.#held = null;
    this.#knownSinceNs = this.#seenSinceNs = null;
  }

  write(state: State, nowMs: number): void {
    const { pause, resume, empty } = this.#elements;
    const isHeld = this.#isPaused || this.#isHovered || this.#isScrolled || this.#hasFocus();
    const shown = this.#prints.shown;
    if (!isHeld) this.#held = null;
    else this.#held ??= [...shown];
    const view = this.#held ?? shown;
    this.#rows.write(view, this.#prints.largeFrom, this.#inView, isHeld, nowMs);
    const newest = view.at(-1)?.id ?? 0;
    const waiting = isHeld ? shown.filter((print) => print.id > newest).length : 0;
    setHidden(resume, !isHeld);
    setText(resume, waiting === 0 ? "Held" : `Held · ${formatInteger(waiting)} new`);
    pause.ariaPressed = String(this.#isPaused);
    setHidden(empty, view.length > 0);
    setText(empty, this.#noteOf(state));
    this.#writeFlow(state);
  }

  #noteOf(state: State): string {
    if (isPolling(state)) return "No trades while the page polls: they come by the socket alone";
    if (this.#prints.kept > 0) return "None so large";
    if (state.replay === null) return "No trades yet";
    return this.#knownSinceNs === null ? "No trades since the page came to this time" : "No trades in the last minute";
  }

  #writeFlow(state: State): void {
    const { volume, delta } = this.#elements;
    const ts = String(state.marketNs());
    const { bought, sold, volume: traded, trades } = this.#flow.upTo(ts);
    // Of a time gone to, the page knows what was traded just before it where the recording tells, else what it has seen.
    const since = this.#knownSinceNs ?? this.#seenSinceNs;
    const isPart = since === null || since > this.#flow.startOf(ts);
    const isUnknown = isPolling(state) || (isPart && this.#prints.kept === 0 && this.#knownSinceNs === null);
    setText(volume, isUnknown ? MISSING : `${isPart ? "≥ " : ""}${formatInteger(traded)}`);
    const known = isPart && since !== null ? `, known since ${formatTime(String(since)).short}` : "";
    setTitle(volume, `${formatInteger(trades)} trades seen in the last minute of the market's time${known}`);
    const difference = bought - sold;
    const sign = difference > 0 ? "+" : difference < 0 ? "−" : "";
    setText(delta, isUnknown ? MISSING : `${sign}${formatInteger(Math.abs(difference))}`);
    setData(delta, "side", difference > 0 ? "B" : difference < 0 ? "A" : "N");
    setTitle(delta, `${formatInteger(bought)} bought, ${formatInteger(sold)} sold`);
  }

  /** Rows are used again: new prints would take the one with the focus away from the reader. */
  #hasFocus(): boolean {
    const { scroll } = this.#elements;
    return document.activeElement !== scroll && scroll.contains(document.activeElement);
  }

  #hover(isInside: boolean): void {
    this.#isHovered = isInside;
    this.#repaint();
  }
}

function isPolling({ link }: State): boolean {
  return link.state === "open" && link.via === "polling";
}
