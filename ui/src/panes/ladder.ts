/** The ladder pane: the static ladder or the compact one, and what rows, blocks and keys do. */

import "./ladder.css";
import { unitsOf } from "../decimal";
import { setData, setHidden, setText, setTitle } from "../dom";
import { Flow } from "../flow";
import { formatTime, plural } from "../format";
import type { Trade } from "../feed/feed";
import { keyOf, type Book } from "../feed/wire";
import type { Actions, Pane, PaneContext } from "../pane";
import { GROUPINGS } from "../preferences";
import type { State } from "../state";
import type { TradesBefore } from "../trades-before";
import { TickFinder } from "../tick";
import { Pointer, Surface, type Palette } from "./canvas";
import { LadderCanvas, type Block } from "./ladder-canvas";
import { LadderFit } from "./ladder-fit";
import { buildFrame, type LadderFrame } from "./ladder-frame";
import { LadderAway } from "./ladder-away";
import { bestsOf, centreWords, LadderFocus } from "./ladder-focus";
import { buildGrid, rangeOf } from "./ladder-grid";
import { measureLadder, type LadderGeometry } from "./ladder-measure";
import { buildLadder } from "./ladder-model";
import { hasQueues, holds, whereIs, type Ladder, type PriceRow } from "./ladder-rows";
import { isPrice, LadderTable } from "./ladder-table";
import { LadderView } from "./ladder-view";
import { blockTip, flowTip } from "./ladder-words";
import { QueueList } from "./queue-list";
import type { Tip } from "./tip";

const ROW_HEIGHT_MIN_REM = 1.5;
const ROW_HEIGHT_MAX_REM = 3;
/** A compact ladder shares the pane's height among its rows where the pane has a height of its own. */
const FIXED_HEIGHT = "(min-width: 60rem)";
/** While the rows are on their way to the market they move again after this, also when no news comes. */
const MOVE_INTERVAL_MS = 100;
const COMPACT_PAGE_ROWS = 10;
const FLOW_COLUMNS = ["sold", "bought", "bid-net", "ask-net"] as const;
const NUMBER_COLUMNS = [...FLOW_COLUMNS, "bid-size", "bid-orders", "ask-orders", "ask-size"] as const;

export class LadderPane implements Pane {
  readonly #frame: LadderFrame;
  readonly #table: LadderTable;
  readonly #surface: Surface;
  readonly #canvas: LadderCanvas;
  readonly #fit: LadderFit;
  readonly #pointer: Pointer;
  readonly #list: QueueList;
  readonly #state: State;
  readonly #actions: Actions;
  readonly #tip: Tip;
  readonly #repaint: () => void;
  readonly #flow = new Flow();
  readonly #ticks = new TickFinder();
  readonly #view = new LadderView();
  readonly #focus = new LadderFocus();
  readonly #away: LadderAway;
  #instrument = "";
  #ladder: Ladder | null = null;
  #geometry: LadderGeometry | null = null;
  #hovered: Block | null = null;
  /** The price whose orders are listed, as its row has it. */
  #listed: string | null = null;
  /** Of the rows' box, px. Asked of the page while rows are being written it would cost a layout. */
  #room = { width: 0, height: 0 };
  #wheelRows = 0;
  #centrePending = true;
  #shape = "";
  #isMovePlanned = false;
  #painted: readonly unknown[] = [];

  constructor({ root, state, actions, tip, repaint, onPointer }: PaneContext) {
    this.#state = state;
    this.#actions = actions;
    this.#tip = tip;
    this.#repaint = repaint;
    this.#frame = buildFrame(root);
    this.#table = new LadderTable(this.#frame.body);
    this.#surface = new Surface(this.#frame.canvas, () => {
      this.#geometry = null;
      repaint();
    });
    this.#canvas = new LadderCanvas(this.#surface);
    this.#fit = new LadderFit(this.#frame, this.#surface);
    this.#away = new LadderAway(this.#frame, (side) => {
      this.#focus.lookAt(side);
      this.#view.centre();
      repaint();
    });
    this.#pointer = new Pointer(this.#frame.table, onPointer);
    this.#list = new QueueList(this.#frame.list, {
      select: (orderId) => {
        actions.selectOrder(orderId);
      },
      closed: () => {
        this.#closed();
      },
    });
    const { scroll } = this.#frame;
    new ResizeObserver(() => {
      this.#room = { width: scroll.clientWidth, height: scroll.clientHeight };
      this.#fitRows();
      repaint();
    }).observe(scroll);
    this.#listenToTools();
    this.#listenToRows();
  }

  takeDepth(book: Book, isSnapshot: boolean): void {
    if (keyOf(book) !== this.#instrument) {
      this.#instrument = keyOf(book);
      this.#flow.forget();
      this.#ticks.reset();
      this.#view.reset();
      this.#focus.reset();
      this.#fit.reset();
      this.#centrePending = true;
      this.#list.close();
    }
    this.#ticks.take(book.bids, book.asks);
    this.#flow.takeDepth(book, isSnapshot);
  }

  takeTrades(trades: readonly Trade[], isSnapshot: boolean): void {
    this.#flow.takeTrades(trades, isSnapshot);
  }

  takeTradesBefore({ trades, sinceNs }: TradesBefore): void {
    this.#flow.takeTradesBefore(trades, sinceNs);
  }

  reset(): void {
    this.#flow.forget();
  }

  write(state: State): void {
    const { preferences } = state;
    this.#flow.expire(state.marketNs());
    this.#writeTools();
    const shape = `${preferences.ladder} ${preferences.depth}`;
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#centrePending = true;
      this.#list.close();
      this.#ladder = null;
    }
    const before = this.#table.rowCount;
    this.#ladder = this.#isStatic ? this.#staticLadder() : buildLadder(state.book, preferences.depth, this.#flow);
    const { order } = state;
    this.#table.write(this.#ladder, (row) => order !== null && holds(row, order), this.#listed);
    if (this.#table.rowCount !== before) this.#fitRows();
    if (this.#fit.write(this.#ladder, this.#room.width)) this.#geometry = null;
    this.#actions.feed.showQueues("ladder", this.#isStatic ? this.#levelsInReach : preferences.depth);
    setData(this.#frame.scroll, "queues", hasQueues(this.#ladder) ? "all" : "some");
    this.#away.write(this.#isStatic ? bestsOf(this.#state.queued, this.#view.step) : [], this.#view);
    this.#writeList();
    this.#painted = [];
    if (this.#centrePending && state.book !== null) {
      this.#centrePending = false;
      this.#centreCompact();
    }
  }

  paint(palette: Palette): void {
    if (this.#ladder === null) return;
    const { x, y, inside } = this.#pointer;
    // Between two texts the ladder is the same, unless the pointer has moved.
    const now = [palette, x, y, inside, this.#geometry];
    if (now.every((each, index) => each === this.#painted[index]) && this.#geometry !== null) return;
    this.#geometry ??= this.#measure();
    this.#painted = [palette, x, y, inside, this.#geometry];
    if (this.#geometry === null) return;
    this.#canvas.paint(this.#ladder, this.#geometry, palette, this.#state.order);
    this.#hovered = this.#blockUnderPointer(this.#geometry);
    if (this.#hovered !== null) this.#canvas.light(this.#hovered, this.#geometry, palette);
    this.#showTip(this.#geometry);
  }

  get #isStatic(): boolean {
    return this.#state.preferences.ladder === "static";
  }

  /** Of a crossed book, or looking elsewhere than at the middle, levels far behind the best may stand in view. */
  get #levelsInReach(): number {
    const isMiddle = this.#focus.current?.on === "middle" && this.#state.queued?.crossed === false;
    return isMiddle ? this.#view.levelsInReach(this.#state.preferences.grouping) : Infinity;
  }

  get #lastTrade(): string | null {
    return this.#state.trades.findLast(({ price }) => price !== null)?.price ?? null;
  }

  #staticLadder(): Ladder {
    const book = this.#state.queued;
    this.#view.setStep(this.#ticks.tick * BigInt(this.#state.preferences.grouping));
    if (book !== null) {
      const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
      // Under a pointer, too: a click is meant for the price that stood there.
      const held = this.#pointer.inside || this.#frame.body.querySelector("tr:focus-visible") !== null;
      this.#focus.take(book, this.#view, this.#lastTrade);
      const { current } = this.#focus;
      this.#view.follow(current?.units ?? null, { held, atOnce: reduced, ...(current === null ? {} : { within: current.within }) });
      if (this.#view.moving) this.#planMove();
    }
    return buildGrid(book, this.#view, this.#flow);
  }

  #planMove(): void {
    if (this.#isMovePlanned) return;
    this.#isMovePlanned = true;
    setTimeout(() => {
      this.#isMovePlanned = false;
      this.#repaint();
    }, MOVE_INTERVAL_MS);
  }

  #writeTools(): void {
    const { preferences } = this.#state;
    const { every, compact, depths, depthControl, groupingControl, grouping, clear, centre, table, scroll } = this.#frame;
    const isStatic = this.#isStatic;
    every.ariaPressed = String(isStatic);
    compact.ariaPressed = String(!isStatic);
    setHidden(depthControl, isStatic);
    setHidden(groupingControl, !isStatic);
    setData(table, "rows", preferences.ladder);
    setData(scroll, "rows", preferences.ladder);
    for (const choice of depths) choice.ariaPressed = String(choice.dataset["depth"] === String(preferences.depth));
    setText(grouping, plural(preferences.grouping, "tick"));
    const since = this.#flow.since === null ? "" : ` It counts since ${formatTime(this.#flow.since).exact}.`;
    setTitle(clear, `Count anew what was traded, pulled and stacked.${since}`);
    setData(centre, "away", isStatic && !this.#view.following ? "yes" : "");
    const { current, next } = this.#focus;
    const [words, title] = centreWords(isStatic ? current : null, next);
    setText(centre, words);
    setTitle(centre, title);
  }

  #listenToTools(): void {
    const { coarser, finer, every, compact, depths, clear, centre } = this.#frame;
    const onClick = (button: HTMLButtonElement, act: () => void): void => {
      button.addEventListener("click", act);
    };
    const centreNow = (): void => {
      this.#centre();
    };
    const actions = this.#actions;
    onClick(centre, centreNow);
    onClick(coarser, () => {
      this.#group(1);
    });
    onClick(finer, () => {
      this.#group(-1);
    });
    onClick(every, () => {
      actions.prefer({ ladder: "static" });
    });
    onClick(compact, () => {
      actions.prefer({ ladder: "compact" });
    });
    for (const choice of depths) {
      onClick(choice, () => {
        actions.prefer({ depth: Number(choice.dataset["depth"]) });
      });
    }
    onClick(clear, () => {
      this.#flow.clear();
      this.#repaint();
    });
    actions.bind("c", "centre the ladder; again, where the best prices are far apart: the next of them", centreNow);
    actions.bind("+", "more ticks in a row of the ladder", () => {
      this.#group(1);
    });
    actions.bind("-", "fewer ticks in a row of the ladder", () => {
      this.#group(-1);
    });
  }

  #group(by: number): void {
    if (!this.#isStatic) return;
    const at = GROUPINGS.findIndex((each) => each === this.#state.preferences.grouping);
    const grouping = GROUPINGS[at + by];
    if (grouping === undefined) return;
    this.#list.close();
    this.#actions.prefer({ grouping });
  }

  #listenToRows(): void {
    const { scroll, body, table } = this.#frame;
    scroll.addEventListener(
      "wheel",
      (event) => {
        this.#wheel(event);
      },
      { passive: false },
    );
    body.addEventListener("keydown", (event) => {
      this.#key(event);
    });
    body.addEventListener("focusin", (event) => {
      this.#table.makeReachable(this.#table.indexOf(event.target));
    });
    table.addEventListener("click", (event) => {
      this.#click(event);
    });
  }

  /** At the ends of the prices known the page scrolls on. */
  #wheel(event: WheelEvent): void {
    if (!this.#isStatic || event.ctrlKey || event.deltaY === 0) return;
    const rowHeight = this.#table.row(0)?.offsetHeight ?? 0;
    if (rowHeight === 0) return;
    this.#wheelRows -= event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY / rowHeight : event.deltaY;
    const rows = Math.trunc(this.#wheelRows);
    this.#wheelRows -= rows;
    if (rows === 0 || this.#scrollRows(rows)) event.preventDefault();
  }

  #scrollRows(rows: number): boolean {
    const { queued } = this.#state;
    const [lowest, highest] = queued === null ? [null, null] : rangeOf(queued);
    const moved = this.#view.scroll(rows, lowest, highest);
    if (moved) this.#repaint();
    return moved;
  }

  #key(event: KeyboardEvent): void {
    const at = this.#table.indexOf(event.target);
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = this.#isStatic ? Math.max(1, this.#table.rowCount - 2) : COMPACT_PAGE_ROWS;
    const keys: Readonly<Record<string, () => void>> = {
      ArrowUp: () => {
        this.#moveFocus(at, -1);
      },
      ArrowDown: () => {
        this.#moveFocus(at, 1);
      },
      PageUp: () => {
        this.#movePage(at, -page);
      },
      PageDown: () => {
        this.#movePage(at, page);
      },
      Home: () => {
        this.#movePage(at, -Number.MAX_SAFE_INTEGER);
      },
      End: () => {
        this.#movePage(at, Number.MAX_SAFE_INTEGER);
      },
      Enter: () => {
        this.#openList(at, true);
      },
      Escape: () => {
        this.#list.close();
      },
    };
    const act = event.shiftKey ? undefined : keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  #moveFocus(at: number, by: number): void {
    const next = at + by;
    if (next >= 0 && next < this.#table.rowCount) this.#table.focus(next);
    else if (this.#isStatic) this.#scrollRows(-by);
  }

  #movePage(at: number, by: number): void {
    if (this.#isStatic) this.#scrollRows(-by);
    else this.#table.focus(Math.min(this.#table.rowCount - 1, Math.max(0, at + by)));
  }

  #click(event: MouseEvent): void {
    const block = this.#geometry === null ? null : this.#blockUnderPointer(this.#geometry);
    if (block !== null) {
      this.#actions.selectOrder(block.order[0]);
      return;
    }
    this.#openList(this.#table.indexOf(event.target), false);
  }

  #openList(at: number, focus: boolean): void {
    const row = this.#ladder?.rows[at];
    if (!isPrice(row)) return;
    if (!focus && this.#list.isOpen && this.#listed === row.price) {
      this.#list.close();
      return;
    }
    this.#listed = row.price;
    this.#list.open(focus);
    this.#repaint();
  }

  /** The focus goes back to the row that it came from, or to one that is there. */
  #closed(): void {
    const hadFocus = this.#frame.list.contains(document.activeElement) || document.activeElement === document.body;
    const at = this.#ladder?.rows.findIndex((row) => isPrice(row) && row.price === this.#listed) ?? -1;
    this.#listed = null;
    if (hadFocus && this.#table.rowCount > 0) this.#table.focus(at < 0 ? (this.#ladder?.centre ?? 0) : at);
  }

  #writeList(): void {
    if (this.#listed === null || !this.#list.isOpen || this.#ladder === null) return;
    this.#list.write(this.#listedRow(this.#listed, this.#ladder), this.#state.order, whereIs(this.#listed, this.#ladder));
  }

  /** Also of a price that has left the view. */
  #listedRow(price: string, { rows }: Ladder): PriceRow {
    const inView = rows.find((row) => isPrice(row) && row.price === price);
    if (isPrice(inView)) return inView;
    const step = this.#isStatic ? this.#view.step : this.#ticks.tick;
    const top = step === 0n ? 0n : unitsOf(price) / step;
    const [row] = buildGrid(this.#state.queued, { step, top, rows: 1 }, this.#flow).rows;
    if (isPrice(row)) return row;
    const nothing = { bid: null, ask: null, best: false, overlap: false, inside: false, flow: null, cut: "", beyond: "" } as const;
    return { kind: "tick", price, ...nothing };
  }

  /** Where the market is in more than one place, and one of them is on view, it is the turn of the next. */
  #centre(): void {
    if (this.#isStatic && this.#view.following && !this.#view.moving) this.#focus.turn();
    this.#view.centre();
    this.#centreCompact();
    this.#repaint();
  }

  /** A compact ladder has all its rows, and scrolls as any box does. */
  #centreCompact(): void {
    const row = this.#ladder === null || this.#isStatic ? undefined : this.#table.row(this.#ladder.centre);
    if (row === undefined) return;
    const { scroll, header } = this.#frame;
    const middle = row.offsetTop + row.offsetHeight / 2 + header.offsetHeight / 2;
    scroll.scrollTop = middle - scroll.clientHeight / 2;
  }

  #measure(): LadderGeometry | null {
    const first = this.#table.row(0);
    if (first === undefined) return null;
    this.#surface.measure();
    return measureLadder(this.#frame.table, this.#frame.header, first);
  }

  /** So many rows as the pane has room for; of a compact ladder, the room is shared among the rows it has. */
  #fitRows(): void {
    this.#geometry = null;
    this.#fit.forget();
    const { table } = this.#frame;
    this.#surface.measure();
    const room = (this.#room.height - (table.tHead?.offsetHeight ?? 0) - 1) / this.#surface.rem;
    let height = ROW_HEIGHT_MIN_REM;
    if (this.#isStatic) {
      const rows = Math.max(3, Math.floor(room / ROW_HEIGHT_MIN_REM));
      if (rows !== this.#view.rows) this.#view.setRows(rows);
      height = Math.max(ROW_HEIGHT_MIN_REM, room / rows);
    } else if (window.matchMedia(FIXED_HEIGHT).matches && this.#table.rowCount > 0) {
      height = Math.min(ROW_HEIGHT_MAX_REM, Math.max(ROW_HEIGHT_MIN_REM, room / this.#table.rowCount));
    }
    table.style.setProperty("--row-height", `${height.toFixed(3)}rem`);
  }

  #blockUnderPointer({ top, rowHeight }: LadderGeometry): Block | null {
    if (!this.#pointer.inside) return null;
    return this.#canvas.blockAt(Math.floor((this.#pointer.y - top) / rowHeight), this.#pointer.x);
  }

  #showTip(geometry: LadderGeometry): void {
    const lines = this.#hovered === null ? this.#flowTip(geometry) : blockTip(this.#hovered);
    if (lines === null) {
      this.#tip.hide(this);
      return;
    }
    const box = this.#frame.table.getBoundingClientRect();
    this.#tip.show(this, box.left + this.#pointer.x, box.top + this.#pointer.y, lines);
  }

  /** The list of a row tells the same, and the box would cover it. Else what was done at the price under the pointer, over the columns that tell it, or over all numbers where some have no room. */
  #flowTip({ top, rowHeight, columns }: LadderGeometry): string[] | null {
    if (this.#list.isOpen) return null;
    const { x, y, inside } = this.#pointer;
    const row = inside ? this.#ladder?.rows[Math.floor((y - top) / rowHeight)] : undefined;
    const told = this.#fit.set === "all" ? FLOW_COLUMNS : NUMBER_COLUMNS;
    if (!isPrice(row) || row.flow === null || !told.some((name) => x > columns[name].from && x < columns[name].to)) return null;
    return flowTip(row, this.#flow);
  }
}
