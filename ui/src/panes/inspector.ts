/**
 * The order inspector: one order, where it stands in its queue, what is ahead of it, and its life. Its place is followed
 * in the book that the page has; its life, and what became of it, the server tells. One that has gone stays on view.
 */

import "./inspector.css";
import { timesWritten } from "../address";
import { setData, setHidden, setText, setTitle } from "../dom";
import { formatInteger, formatTime, MISSING, plural, withMinus } from "../format";
import { NO_LONGER_RECORDED } from "../feed/feed";
import { WireError } from "../feed/fields";
import { keyOf, type Book, type Problem } from "../feed/wire";
import { lifeSteps, parseOrder, type LifeStep, type OrderAnswer } from "../order";
import { isWithoutBook } from "../notices";
import type { Actions, Pane, PaneContext } from "../pane";
import { motionOf } from "../standing-word";
import type { State } from "../state";
import { Surface, type Palette } from "./canvas";
import { buildInspector, type Fact, type InspectorFrame } from "./inspector-frame";
import { AskTimes, locate, type Located } from "./inspector-model";
import { LifeTable } from "./life-table";
import { paintLife } from "./life-canvas";
import { OrderButtons } from "./order-buttons";

const AHEAD_MAX = 30;
/** An order that is gone may be asked for before the record of its end can be told: so often more. */
const ENDS_ASKED_MAX = 5;

export class InspectorPane implements Pane {
  readonly #frame: InspectorFrame;
  readonly #state: State;
  readonly #actions: Actions;
  readonly #repaint: () => void;
  readonly #surface: Surface;
  readonly #ahead: OrderButtons;
  readonly #life: LifeTable;
  readonly #ask = new AskTimes();
  #order: string | null = null;
  #located: Located | null = null;
  /** Where it was seen last, after it has gone. */
  #lastSeen: Located | null = null;
  #isGone = false;
  /** How often it was told that it is gone, and not how. */
  #endsUnknown = 0;
  #answer: OrderAnswer | null = null;
  #steps: readonly LifeStep[] = [];
  #message = "";
  /** Of the question under way; answers to older ones are dropped. */
  #question = 0;
  #askedAt: string | null = null;
  #painted: readonly unknown[] = [];

  constructor({ root, state, actions, repaint }: PaneContext) {
    this.#state = state;
    this.#actions = actions;
    this.#repaint = repaint;
    this.#frame = buildInspector(root);
    const { canvas, aheadPart, lifeRows, field, show, clear } = this.#frame;
    this.#surface = new Surface(canvas, () => {
      this.#painted = [];
      repaint();
    });
    this.#life = new LifeTable(lifeRows);
    const select = (orderId: string): void => {
      actions.selectOrder(orderId);
    };
    this.#ahead = new OrderButtons("Orders ahead", select, () => field);
    aheadPart.insertBefore(this.#ahead.element, this.#frame.aheadMore);
    show.addEventListener("click", () => {
      this.#showTyped();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#showTyped();
    });
    clear.addEventListener("click", () => {
      actions.selectOrder(null);
    });
    actions.bind("o", "type the id of an order to inspect", () => {
      field.focus();
      field.select();
    });
  }

  takeDepth(book: Book): void {
    if (this.#order === null) return;
    const before = this.#located;
    const found = locate(book, this.#order, before);
    this.#located = found;
    if (found === before) return;
    if (found === null) {
      this.#lastSeen = before;
      // Beyond the levels carried it may rest on: the server knows.
      this.#isGone = true;
      this.#ask.changed(performance.now());
      return;
    }
    this.#isGone = false;
    const isAsBefore = before?.size === found.size && before.price === found.price && before.place.tsEvent === found.place.tsEvent;
    const isUnknown = before === null && this.#ask.isMissing;
    if (isUnknown) this.#message = "";
    if (isUnknown || (!isAsBefore && before !== null)) this.#ask.changed(performance.now());
  }

  /** Another epoch or another time: what is known of the order has to be found out anew. */
  reset(): void {
    this.#located = this.#lastSeen = null;
    this.#isGone = false;
    this.#endsUnknown = 0;
    this.#question += 1;
    if (this.#order !== null) this.#ask.begin(performance.now());
  }

  write(state: State): void {
    if (state.order !== this.#order) this.#choose(state.order);
    const nowMs = performance.now();
    if (this.#at() !== this.#askedAt && this.#order !== null) this.#ask.moved(nowMs, this.#isPlaying);
    if (this.#order !== null && isWithoutBook(state, nowMs)) {
      this.#answer = null;
      this.#steps = [];
      this.#message = "There is no book at this time that it could be in.";
    }
    if (this.#order !== null && state.book !== null && this.#ask.take(nowMs)) this.#inquire(keyOf(state.book), this.#order);
    const { hint, body, clear, title } = this.#frame;
    setHidden(hint, this.#order !== null);
    setHidden(body, this.#order === null);
    setHidden(clear, this.#order === null);
    this.#actions.feed.showQueues("order", this.#order === null ? 0 : this.#rank());
    if (this.#order === null) return;
    setText(title, `Order ${this.#order}`);
    this.#writeStanding();
    this.#writeLife();
    this.#writeAhead();
  }

  paint(palette: Palette): void {
    const now = [palette, this.#steps];
    if (this.#order === null || now.every((each, index) => each === this.#painted[index])) return;
    this.#painted = now;
    this.#surface.measure();
    paintLife(this.#surface, this.#steps, this.#answer?.side ?? "N", palette);
  }

  /** That of its level among those of its side, from 1; 0 where it is not among them, as far as is known. */
  #rank(): number {
    const [book, at] = [this.#state.queued, this.#located ?? this.#answer ?? this.#lastSeen];
    if (book === null || at === null) return 0;
    return (at.side === "B" ? book.bids : book.asks).findIndex(({ price }) => price === at.price) + 1;
  }

  #showTyped(): void {
    const typed = this.#frame.field.value.trim();
    const isId = /^\d{1,20}$/.test(typed);
    this.#frame.field.ariaInvalid = String(!isId);
    setTitle(this.#frame.field, isId ? "" : "An order id is a number of at most 20 digits");
    if (!isId) return;
    const order = BigInt(typed).toString();
    // One that is on view is asked for anew.
    if (order === this.#order) this.#ask.begin(performance.now());
    else this.#actions.selectOrder(order);
  }

  #choose(order: string | null): void {
    this.#order = order;
    this.#located = this.#lastSeen = null;
    this.#isGone = false;
    this.#answer = null;
    this.#steps = [];
    this.#endsUnknown = 0;
    this.#message = "";
    this.#question += 1;
    this.#askedAt = this.#at();
    if (order === null) {
      // Of another instrument it would name another order, or none.
      this.#frame.field.value = "";
      this.#frame.field.ariaInvalid = "false";
      this.#ask.stop();
      return;
    }
    this.#frame.field.value = order;
    this.#frame.field.ariaInvalid = "false";
    this.#ask.begin(performance.now());
    const book = this.#state.queued;
    if (book !== null) this.#located = locate(book, order, null);
  }

  /** What was on view is no longer recorded: an order that is not there either was one of that. */
  get #isAstray(): boolean {
    return this.#state.problems.get("replay")?.code === NO_LONGER_RECORDED;
  }

  get #isPast(): boolean {
    return this.#state.replay !== null;
  }

  /** The past goes on by itself. */
  get #isPlaying(): boolean {
    const motion = motionOf(this.#state);
    return motion === "playing" || motion === "following";
  }

  /** The time that the page stands at; null: now. */
  #at(): string | null {
    return this.#state.replay === null ? null : (this.#state.book?.tsEvent ?? null);
  }

  #inquire(key: string, order: string): void {
    this.#question += 1;
    const question = this.#question;
    const at = this.#at();
    this.#askedAt = at;
    const path = `/v1/books/${encodeURIComponent(key)}/orders/${order}${at === null ? "" : `?at=${at}`}`;
    void this.#actions.request(path).then((answer) => {
      if (question !== this.#question) return;
      if (answer.kind === "ok") this.#read(answer.body);
      else if (answer.kind === "refused") this.#refused(answer.problem);
      else this.#message = `No answer about it: ${answer.reason}.`;
      const isUnseen = this.#answer?.status === "resting" && this.#located === null;
      const isEndless = this.#answer?.status === "removed";
      this.#endsUnknown = isEndless ? this.#endsUnknown + 1 : 0;
      const again = at === null && (isUnseen || (isEndless && this.#endsUnknown < ENDS_ASKED_MAX));
      this.#ask.answered(performance.now(), { failed: answer.kind === "failed", again, missed: answer.kind === "refused" });
      this.#repaint();
    });
  }

  #read(body: unknown): void {
    try {
      this.#take(parseOrder(body));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#message = `No answer about it: ${error.message}.`;
    }
  }

  #take(answer: OrderAnswer): void {
    if (answer.status === "removed" && this.#isAstray) {
      this.#actions.selectOrder(null);
      return;
    }
    this.#answer = answer;
    this.#isGone = false;
    this.#steps = answer.life === null ? [] : lifeSteps(answer.life, answer.status);
    this.#message = "";
  }

  #refused({ status, code, detail, title }: Problem): void {
    if (code === "unknown_order" && this.#isAstray) {
      this.#actions.selectOrder(null);
      return;
    }
    if (status === 401) this.#message = "The server wants an API key to tell more.";
    else if (status === 403) this.#message = "This API key may not read orders.";
    else if (code === "history_unavailable") this.#message = "This server keeps no history, so nothing is known of orders in the past.";
    else if (code === "unknown_order" && this.#lastSeen !== null) {
      const verb = this.#isPast ? "rested" : "rests";
      this.#message = `It no longer ${verb}, and no history tells what became of it. Below is what was last seen.`;
    } else {
      const said = this.#isPast ? detail.replace(" rests in ", " rested in ") : detail;
      this.#message = `${detail === "" ? title : timesWritten(said)}.`.replace(/\.\.$/, ".");
    }
    if (code === "unknown_order") {
      this.#answer = null;
      this.#steps = [];
    }
  }

  #writeStanding(): void {
    const { status, note, bar } = this.#frame;
    const seen = this.#located ?? (this.#isGone || this.#answer === null ? this.#lastSeen : null);
    const { word, note: said } = this.#standing();
    setText(status, word === "resting" && this.#isPast ? "was resting" : word);
    setData(status, "state", word);
    setText(note, said);
    setHidden(note, said === "");
    const place = this.#located?.place ?? (this.#isGone ? null : (this.#answer?.place ?? null));
    const side = seen?.side ?? this.#answer?.side;
    const size = seen?.size ?? this.#answer?.size;
    const placed = formatTime((seen?.place ?? place)?.tsEvent ?? "");
    this.#fact("side", side === "B" ? "B bid" : side === "A" ? "A ask" : MISSING);
    setData(this.#frame.facts.side, "side", side ?? "");
    this.#fact("price", withMinus(seen?.price ?? this.#answer?.price ?? MISSING));
    this.#fact("size", formatInteger(size));
    this.#fact("filled", formatInteger(this.#traded()));
    this.#fact("placed", placed.short === MISSING ? MISSING : (placed.exact.split(" · ")[0] ?? MISSING).replace("T", " ").replace("Z", ""));
    setTitle(this.#frame.facts.placed, placed.exact);
    this.#fact("ahead", place === null ? MISSING : inQueue(place.ordersAhead, place.sizeAhead));
    for (const fact of ["placed", "ahead", "behind"] as const) {
      const row = this.#frame.facts[fact].parentElement;
      if (row !== null) setHidden(row, place === null && (fact !== "placed" || seen === null));
    }
    this.#fact("behind", place === null ? MISSING : inQueue(place.ordersBehind, place.sizeBehind));
    setHidden(bar, place === null);
    if (place === null || size === undefined) return;
    bar.ariaLabel = `size ${place.sizeAhead} ahead, ${size} of its own, ${place.sizeBehind} behind`;
    for (const [name, share] of [["ahead", place.sizeAhead], ["own", size], ["behind", place.sizeBehind]] as const) {
      bar.style.setProperty(`--${name}`, String(share));
    }
    setData(bar, "side", side ?? "");
  }

  #fact(fact: Fact, value: string): void {
    setText(this.#frame.facts[fact], value);
  }

  /** How it stands, in a word, and what has to be said about it. */
  #standing(): { readonly word: string; readonly note: string } {
    const answer = this.#answer;
    if (this.#located !== null) return { word: "resting", note: this.#message };
    if (this.#isGone) {
      return { word: "gone", note: this.#message === "" ? `It ${this.#isPast ? "had" : "has"} left the levels in view; asking what became of it…` : this.#message };
    }
    if (answer === null) {
      if (this.#message === "") return { word: "asking", note: "" };
      return { word: this.#lastSeen === null ? "not found" : "gone", note: `${this.#message}${this.#whenNext()}` };
    }
    const word = answer.status;
    if (word === "resting") return { word, note: this.#message === "" ? `It ${this.#isPast ? "rested" : "rests"} beyond the levels that the page follows.` : this.#message };
    return { word, note: this.#message };
  }

  /** When it is asked for once more, where the last answer told nothing of it. */
  #whenNext(): string {
    if (!this.#ask.isMissing) return "";
    if (!this.#isPast) return " It is looked for in the levels that come; Show asks the server again.";
    if (this.#isPlaying) return " While the past plays the server is asked again, ever more rarely; Show asks now.";
    return " The server is asked again at another time.";
  }

  /** Of one that rests, its life tells: what a fill took, and what it took when it came. */
  #traded(): number | null {
    if (this.#answer === null || this.#answer.life === null) return this.#answer?.filled ?? null;
    return this.#answer.filled ?? tradedIn(this.#steps);
  }

  #writeLife(): void {
    const { life, lifeNote, canvas } = this.#frame;
    const isTold = this.#steps.length > 0;
    setHidden(life, !isTold);
    setHidden(canvas, !isTold);
    this.#life.write(this.#steps);
    const hidden = this.#life.hiddenCount;
    const more = hidden === 0 ? "" : `The first and the last are listed; ${plural(hidden, "step")} between them are left out.`;
    const nothing = this.#answer === null ? "" : this.#answer.life === null ? "This server keeps no history, so its life is not told." : this.#isPast ? "Nothing had been recorded of it." : "Nothing is recorded of it yet.";
    setText(lifeNote, isTold ? more : nothing);
  }

  #writeAhead(): void {
    const { aheadPart, aheadMore } = this.#frame;
    setHidden(aheadPart, this.#located === null);
    const ahead = this.#located?.ahead ?? [];
    const entries = ahead.slice(0, AHEAD_MAX).map(([orderId, size, tsEvent], place) => {
      return { orderId, text: `${place + 1}. size ${formatInteger(size)} · order ${orderId} · ${formatTime(tsEvent).short}` };
    });
    this.#ahead.write(entries, this.#order);
    const more = ahead.length - entries.length;
    const words = ahead.length === 0 ? `Nothing: it ${this.#isPast ? "was" : "is"} the front of its queue.` : more > 0 ? `and ${plural(more, "more order")}` : "";
    setText(aheadMore, words);
    setHidden(aheadMore, words === "");
  }
}

function inQueue(orders: number, size: number): string {
  return orders === 0 ? "nothing" : `${plural(orders, "order")}, size ${formatInteger(size)}`;
}

function tradedIn(steps: readonly LifeStep[]): number {
  const trades = steps.filter(({ kind }) => kind === "took" || kind === "partly filled" || kind === "filled");
  return trades.reduce((sum, { change }) => sum - change, 0);
}
