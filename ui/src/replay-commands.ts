/**
 * What the replay bar asks of the feed, one thing at a time. What comes while another is under way waits, and the
 * newest wins: a slider that is dragged, or a key that is held, never builds up a queue.
 */

import type { Feed, Replay } from "./feed/feed";

export type Wish =
  | { readonly do: "seek"; readonly at: bigint }
  /** Events of the book on view; negative: back. */
  | { readonly do: "step"; readonly events: number }
  /** Recorded time from the one shown. */
  | { readonly do: "skip"; readonly ns: bigint }
  | { readonly do: "play" }
  | { readonly do: "pause" }
  | { readonly do: "live" };

/** What stands for two wishes of which neither has begun: steps and skips add up, all else replaces. */
export function merge(waiting: Wish | null, next: Wish): Wish {
  if (waiting?.do === "step" && next.do === "step") return { do: "step", events: waiting.events + next.events };
  if (waiting?.do === "skip" && next.do === "skip") return { do: "skip", ns: waiting.ns + next.ns };
  if (waiting?.do === "seek" && next.do === "skip") return { do: "seek", at: waiting.at + next.ns };
  return next;
}

export interface Where {
  readonly replay: Replay | null;
  /** The time shown: of a replay its own, live that of the book's last event; null before there is one. */
  readonly ns: bigint | null;
  /** The recorded time nearest to one asked for. */
  readonly within: (ns: bigint) => bigint;
}

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
}

export function failureOf(error: unknown): Failure {
  const { code, detail } = error as { code?: unknown; detail?: unknown };
  const said = typeof detail === "string" ? detail : error instanceof Error ? error.message : String(error);
  const known = typeof code === "string" ? FAILURES[code] : undefined;
  return { text: known ?? `That did not work: ${said}`, detail: typeof code === "string" ? `${code}: ${said}` : said };
}

export class ReplayCommands {
  /** Chosen for the next play, and told to the server with it. */
  speed = 1;
  failure: Failure | null = null;
  readonly #player: Player;
  readonly #where: () => Where;
  readonly #changed: () => void;
  #running: Wish | null = null;
  #waiting: Wish | null = null;

  /** `changed`: something is to be shown anew. */
  constructor(player: Player, where: () => Where, changed: () => void) {
    this.#player = player;
    this.#where = where;
    this.#changed = changed;
  }

  /** Something has been asked for, and not been answered. */
  get isBusy(): boolean {
    return this.#running !== null;
  }

  /** Where a seek that has not been answered leads to. */
  get goingTo(): bigint | null {
    if (this.#waiting?.do === "seek") return this.#waiting.at;
    return this.#running?.do === "seek" ? this.#running.at : null;
  }

  ask(wish: Wish): void {
    this.#waiting = merge(this.#waiting, wish);
    if (this.#running === null) void this.#work();
    this.#changed();
  }

  /** Play in the past; from live, stand still at the moment. */
  toggle(): void {
    const state = this.#where().replay?.state;
    this.ask({ do: state === "playing" || state === undefined ? "pause" : "play" });
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    const state = this.#where().replay?.state;
    if (state === "playing" || state === "ended") this.ask({ do: "play" });
  }

  async #work(): Promise<void> {
    for (let wish = this.#take(); wish !== null; wish = this.#take()) {
      try {
        await this.#do(wish);
        this.failure = null;
      } catch (error) {
        this.failure = failureOf(error);
      }
      this.#running = null;
      this.#changed();
    }
  }

  #take(): Wish | null {
    this.#running = this.#waiting;
    this.#waiting = null;
    return this.#running;
  }

  async #do(wish: Wish): Promise<void> {
    const { replay, ns, within } = this.#where();
    switch (wish.do) {
      case "live":
        if (replay !== null) await this.#player.live();
        return;
      case "pause":
        await (replay === null ? this.#enter(ns) : this.#player.pausePlay());
        return;
      case "play":
        if (replay !== null) await this.#player.resumePlay(this.speed);
        return;
      case "seek":
        await this.#go(replay, within(wish.at));
        return;
      case "skip":
        await this.#go(replay, ns === null ? null : within(ns + wish.ns));
        return;
      case "step":
        if (wish.events === 0) return;
        if (replay === null) await this.#enter(ns);
        await this.#player.step(wish.events);
    }
  }

  async #go(replay: Replay | null, at: bigint | null): Promise<void> {
    if (replay === null) await this.#enter(at);
    else if (at !== null) await this.#player.seek(at.toString());
  }

  /** From live into the past, standing still. */
  async #enter(at: bigint | null): Promise<void> {
    if (at === null) throw new Error("there is no book yet, and so no time to begin at");
    await this.#player.replay(at.toString(), { speed: this.speed, paused: true });
  }
}
