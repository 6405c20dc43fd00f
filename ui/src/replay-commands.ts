/**
 * What the page asks of the past, one thing at a time, from wherever it is asked: the replay bar, the keys, the
 * address, the status line. What comes while another is under way waits, and is folded: a slider that is dragged, or a
 * key that is held, never builds up a queue, and no wish is lost to one of another kind.
 */

import { isoTime, timesWritten } from "./address";
import type { Stepped } from "./client/messages";
import type { Feed } from "./feed/feed";
import type { RecordedLine } from "./replay-line";
import { NS_PER_MS, NS_PER_S } from "./replay-time";
import { motionOf } from "./standing-word";
import type { State } from "./state";

/** Elsewhere in time; `at` of "open" is as somebody wrote it, for the server to read. */
type Place =
  | { readonly do: "open"; readonly at: string; readonly onRefused: (error: unknown) => void }
  | { readonly do: "seek"; readonly at: bigint }
  | { readonly do: "live" };

export type Wish =
  | Place
  /** Recorded time from the one shown. */
  | { readonly do: "skip"; readonly ns: bigint }
  /** Events of the book on view; negative: back. */
  | { readonly do: "step"; readonly events: number }
  | { readonly do: "play" }
  | { readonly do: "pause" };

/** What stands for wishes of which none has begun, and one more. */
export function folded(waiting: readonly Wish[], next: Wish): readonly Wish[] {
  const [before, last] = [waiting.slice(0, -1), waiting.at(-1)];
  switch (next.do) {
    // Whatever was to be done elsewhere makes no difference there.
    case "open":
    case "live":
      return [next];
    case "seek": {
      const heading = headingOf(waiting, null);
      return heading === "playing" ? [next, { do: "play" }] : heading === "standing" ? [next, { do: "pause" }] : [next];
    }
    case "skip":
      if (last?.do === "skip") return [...before, { do: "skip", ns: last.ns + next.ns }];
      return last?.do === "seek" ? [...before, { do: "seek", at: last.at + next.ns }] : [...waiting, next];
    case "step":
      if (last?.do === "step") return [...before, { do: "step", events: last.events + next.events }];
      // A step stands still where it ends.
      return last?.do === "play" || last?.do === "pause" ? folded(before, next) : [...waiting, next];
    case "play":
    case "pause":
      if (last?.do === "play" || last?.do === "pause") return folded(before, next);
      return next.do === "pause" && headingOf(waiting.slice(-1), null) === "standing" ? waiting : [...waiting, next];
  }
}

type Heading = "live" | "playing" | "standing";

/** What the page will be doing once all of these are done; null: what it did before, whatever that was. */
function headingOf(wishes: readonly Wish[], now: Heading | null): Heading | null {
  let heading = now;
  for (const wish of wishes) {
    if (wish.do === "live") heading = "live";
    else if (wish.do === "play") heading = heading === "live" ? "live" : "playing";
    else if (wish.do === "open" || wish.do === "step" || wish.do === "pause") heading = "standing";
    // Into the past goes nobody playing.
    else if (heading === "live") heading = "standing";
  }
  return heading;
}

/** How far before a hole the last moment is looked for that can be shown. */
const BEFORE_HOLE_NS = [NS_PER_MS, 20n * NS_PER_MS, NS_PER_S] as const;

/** What a server that has just been started records can be read after half a second or so: this often, and as many times, it is asked again. */
const FIRST_RECORD_MS = 250;
const FIRST_RECORD_TRIES = 12;

type Player = Pick<Feed, "replay" | "pausePlay" | "resumePlay" | "step" | "seek" | "live">;

/** Failures by what the reader can do about them; for others the server's own words serve. */
const FAILURES: Readonly<Record<string, string>> = {
  not_recorded: "Nothing is recorded of that time.",
  history_busy: "The server answers too many questions about the past at the moment: try again.",
  history_damaged: "What was recorded of that time cannot be read.",
  history_unavailable: "This server records nothing.",
  too_many_replays: "Too many replays run at the same time: go back to live in another window first.",
  unknown_replay: "That replay has ended: go to the time again.",
  no_replay: "That replay has ended: go to the time again.",
  no_stream: "The past needs the WebSocket, and it is not open.",
};

export interface Failure {
  readonly text: string;
  readonly detail: string;
  /** It was done, and there is something to say of it. */
  readonly isNote?: boolean;
}

const STOPPED = { end: "This is the end of what is recorded.", beginning: "This is the beginning of what can be gone back to." } as const;

/** What is to be said of a step that did not lead as far as it was to; null: nothing. */
function stopOf(asked: number, stepped: Stepped | null): Failure | null {
  const stoppedAt = stepped?.stoppedAt ?? null;
  if (stepped === null || stoppedAt === null) return null;
  return { text: STOPPED[stoppedAt], detail: `${Math.abs(stepped.events)} of ${Math.abs(asked)} events ${asked < 0 ? "back" : "on"}`, isNote: true };
}

export function failureOf(error: unknown): Failure {
  const { code, detail } = error as { code?: unknown; detail?: unknown };
  const said = typeof detail === "string" ? detail : error instanceof Error ? error.message : String(error);
  const known = typeof code === "string" ? FAILURES[code] : undefined;
  return { text: known ?? `That did not work: ${said}`, detail: typeof code === "string" ? `${code}: ${timesWritten(said)}` : said };
}

export class ReplayCommands {
  /** Chosen for the next play, and told to the server with it. */
  speed = 1;
  /** What is recorded, once that is known. */
  line: RecordedLine | null = null;
  failure: Failure | null = null;
  /** The time that was asked for, as it was, where nothing has moved since: it leads to what is on view. */
  askedFor: string | null = null;
  readonly #player: Player;
  readonly #state: Pick<State, "replay" | "book" | "metrics">;
  readonly #changed: () => void;
  /** What is to be said of what was done, though it was done. */
  #aside: Failure | null = null;
  #running: Wish | null = null;
  #waiting: readonly Wish[] = [];

  /** `changed`: something is to be shown anew. */
  constructor(player: Player, state: Pick<State, "replay" | "book" | "metrics">, changed: () => void) {
    this.#player = player;
    this.#state = state;
    this.#changed = changed;
  }

  /** Something has been asked for, and not been answered. */
  get isBusy(): boolean {
    return this.#running !== null;
  }

  /** The recorded time on view: where what is under way leads to, else that of the replay, else that of the live book. */
  get shownNs(): bigint | null {
    return this.#goingTo ?? this.#reachedNs;
  }

  get #reachedNs(): bigint | null {
    const { replay, book } = this.#state;
    const bookNs = book === null ? null : BigInt(book.tsRecv);
    if (replay === null) return bookNs;
    // Between two heartbeats, a replay that plays has come as far as its book at least.
    const told = BigInt(replay.ts);
    return this.#isPlaying && bookNs !== null && bookNs > told ? bookNs : told;
  }

  ask(wish: Wish): void {
    this.#waiting = folded(this.#waiting, wish);
    if (this.#running === null) void this.#work();
    this.#changed();
  }

  /** Play in the past; from live, stand still at the moment. */
  toggle(): void {
    this.ask({ do: this.#heading === "standing" ? "play" : "pause" });
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    if (this.#heading === "playing") this.ask({ do: "play" });
    else this.#changed();
  }

  /** One that has come to the newest record, and follows what is recorded, is no other than one on its way there. */
  get #isPlaying(): boolean {
    const motion = motionOf(this.#state);
    return motion === "playing" || motion === "following";
  }

  get #asked(): readonly Wish[] {
    return this.#running === null ? this.#waiting : [this.#running, ...this.#waiting];
  }

  get #heading(): Heading {
    const { replay } = this.#state;
    const now = replay === null ? "live" : this.#isPlaying ? "playing" : "standing";
    return headingOf(this.#asked, now) ?? now;
  }

  /** Where seeks that have not been answered lead to. */
  get #goingTo(): bigint | null {
    let at: bigint | null = null;
    for (const wish of this.#asked) {
      if (wish.do === "seek") ({ at } = wish);
      else if (wish.do === "open" || wish.do === "live") at = null;
      else if (wish.do === "skip" && at !== null) at += wish.ns;
    }
    return at;
  }

  async #work(): Promise<void> {
    for (let wish = this.#take(); wish !== null; wish = this.#take()) {
      try {
        this.#aside = null;
        await this.#do(wish);
        this.failure = this.#aside;
      } catch (error) {
        this.#failed(wish, error);
      }
      this.#running = null;
      this.#changed();
    }
  }

  #take(): Wish | null {
    const [next = null, ...others] = this.#waiting;
    this.#running = next;
    this.#waiting = others;
    return next;
  }

  #failed(wish: Wish, error: unknown): void {
    if (wish.do === "open") wish.onRefused(error);
    else this.failure = failureOf(error);
    // What was to follow was meant for a place that was not reached; only one named by its time is still where it was.
    const next = this.#waiting.findIndex((each) => each.do === "open" || each.do === "seek" || each.do === "live");
    this.#waiting = next < 0 ? [] : this.#waiting.slice(next);
  }

  async #do(wish: Wish): Promise<void> {
    const { replay } = this.#state;
    switch (wish.do) {
      case "open":
        await this.#player.replay(wish.at, { paused: true });
        this.askedFor = wish.at;
        return;
      case "live":
        if (replay !== null) await this.#player.live();
        this.askedFor = null;
        return;
      case "pause":
        if (replay === null) await this.#stop(this.#liveNs);
        else await this.#player.pausePlay();
        return;
      case "play":
        if (replay === null) return;
        await this.#player.resumePlay(this.speed);
        this.askedFor = null;
        return;
      case "seek":
        await this.#go(this.#within(wish.at));
        return;
      case "skip":
        await this.#go(this.#within(((replay === null ? null : this.#reachedNs) ?? this.#liveNs) + wish.ns));
        return;
      case "step":
        if (wish.events === 0) return;
        if (replay === null) await this.#stop(this.#liveNs);
        this.#aside = stopOf(wish.events, await this.#player.step(wish.events)) ?? this.#aside;
        this.askedFor = null;
    }
  }

  /** The recorded time nearest to one asked for. */
  #within(ns: bigint): bigint {
    return this.line === null ? ns : this.line.besideHole(this.line.clamp(ns));
  }

  /**
   * The edges of a hole are times of receipt, while moments are asked for by the venue's, and behind it nothing can be
   * shown until books are whole again: where that is refused, it is gone to before the hole.
   */
  async #go(at: bigint): Promise<void> {
    try {
      await this.#jump(at);
    } catch (error) {
      const hole = this.line?.holes.findLast(({ start }) => start - NS_PER_MS <= at);
      if (hole === undefined || !isNotRecorded(error)) throw error;
      await this.#goBefore(hole.start, BEFORE_HOLE_NS);
      this.#aside = { text: "Records are missing there: this is before them.", detail: hole.reason, isNote: true };
    }
  }

  /** From live: what is on view is recorded, if not yet to be read. */
  async #stop(at: bigint, tries = FIRST_RECORD_TRIES): Promise<void> {
    try {
      await this.#go(at);
    } catch (error) {
      if (tries === 0 || !isNotRecorded(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_RECORD_MS));
      await this.#stop(at, tries - 1);
    }
  }

  async #goBefore(ns: bigint, [distance = 0n, ...others]: readonly bigint[]): Promise<void> {
    try {
      await this.#jump(ns - distance);
    } catch (error) {
      if (others.length === 0 || !isNotRecorded(error)) throw error;
      await this.#goBefore(ns, others);
    }
  }

  /** From live into the past, standing still; in the past, playing or not as it does. */
  async #jump(at: bigint): Promise<void> {
    if (this.#state.replay === null) await this.#player.replay(at.toString(), { speed: this.speed, paused: true });
    else await this.#player.seek(at.toString());
    this.askedFor = isoTime(at.toString());
  }

  /** A live book is left by the time of its venue: the replay then shows just the event that was on view. */
  get #liveNs(): bigint {
    const { book } = this.#state;
    if (book === null || book.tsEvent === "0") throw new Error("there is no book yet, and so no time to begin at");
    return BigInt(book.tsEvent);
  }
}

function isNotRecorded(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === "not_recorded";
}
