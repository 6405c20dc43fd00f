/** How the page stands in time, in a word: in the past what the replay does, else whether the book is that of now. */

import type { Link, Replay } from "./feed/feed";
import type { Metrics } from "./feed/wire";
import { formatSpan } from "./replay-time";
import type { State } from "./state";

/** `following`: it has come to the newest record, and goes on as more is recorded; `ended`: nothing more is. */
export type Motion = "live" | Exclude<Replay["state"], "ended"> | "following" | "ended";

export const LINK_WORDS: Readonly<Record<Link["state"], string>> = {
  connecting: "connecting",
  open: "connected",
  paused: "paused",
  locked: "key needed",
  down: "disconnected",
};

export interface StandingWord {
  readonly text: string;
  /** What colours it. */
  readonly state: string;
  readonly title: string;
}

const LINK_TITLES: Readonly<Record<Exclude<Link["state"], "open">, string>> = {
  connecting: "The server has not answered yet",
  paused: "Nothing is asked for while the tab is hidden",
  locked: "The server wants an API key",
  down: "The server does not answer, and what is on view stands still",
};

const PAST: Readonly<Record<Exclude<Motion, "live">, Omit<StandingWord, "state">>> = {
  playing: { text: "playing", title: "The past, as it was recorded, at the speed chosen" },
  paused: { text: "paused", title: "The past, standing still" },
  following: { text: "caught up", title: "The past has come to the newest record, and follows what is recorded; Live shows the books as they are now" },
  ended: { text: "at the end", title: "The past has come to the end of what is recorded, and stands still" },
  failed: { text: "failed", title: "The replay goes no further: go to another time" },
};

/** Whether more may come to what is recorded. */
function isRecordingOn(metrics: Pick<Metrics, "source" | "recording"> | null): boolean {
  if (metrics?.recording.state !== "recording") return false;
  return metrics.source.state !== "ended" && metrics.source.state !== "failed";
}

export function motionOf({ replay, metrics }: Pick<State, "replay" | "metrics">): Motion {
  if (replay === null) return "live";
  if (replay.state !== "ended") return replay.state;
  return isRecordingOn(metrics) ? "following" : "ended";
}

export function standingWord(state: State): StandingWord {
  const { link, replay } = state;
  if (link.state !== "open") return { text: LINK_WORDS[link.state], state: link.state, title: LINK_TITLES[link.state] };
  if (replay === null) return liveWord(state);
  if (link.via === "polling") return { text: "held", state: "held", title: "The past stands still until the server takes a socket again" };
  const motion = motionOf(state);
  return motion === "live" ? liveWord(state) : { ...PAST[motion], state: motion };
}

/**
 * How far the past on view is behind the newest record, ns; null where nothing is to be said. Where that record is on view, the word of
 * the replay says so already, and how long ago the server told of its time says nothing.
 */
export function distanceWords({ replay, metrics }: Pick<State, "replay" | "metrics">, behindNs: bigint): string | null {
  const motion = motionOf({ replay, metrics });
  if (motion === "live" || motion === "following" || motion === "ended") return null;
  const span = formatSpan(behindNs > 0n ? behindNs : 0n);
  if (metrics?.source.state === "running") return `${span} behind live`;
  return behindNs > 0n ? `${span} before the end` : "at the end";
}

function liveWord(state: State): StandingWord {
  const { book, metrics } = state;
  const source = metrics?.source.state;
  if (source === "failed") return { text: "failed", state: "failed", title: "The source failed: its books stay as they were, and may be wrong by now" };
  if (source === "reconnecting") return { text: "reconnecting", state: "reconnecting", title: "The source has lost its connection" };
  if (book === null) return { text: "no book", state: "none", title: "There is no book to show" };
  if (state.silentForMs() !== null) return { text: "silent", state: "late", title: "Nothing comes from the server" };
  if (state.lateForMs() !== null) return { text: "late", state: "late", title: "The line to the server is too slow for the book of now" };
  const standing = state.standing();
  if (standing === "last-known") return { text: "last known", state: "last-known", title: "The server does not vouch for the book any more" };
  if (standing === "ended") return { text: "ended", state: "ended", title: "The source has ended, and its books stay as they are" };
  if (state.staleForMs() !== null) return { text: "stale", state: "stale", title: "Nothing new comes, although the source runs" };
  if (book.state === "suspect") return { text: "suspect", state: "suspect", title: "The book of now, which may be wrong" };
  if (book.state === "snapshot") return { text: "loading", state: "snapshot", title: "The feed's snapshot of the book is being loaded" };
  return { text: "live", state: "live", title: "The books as they are now" };
}
