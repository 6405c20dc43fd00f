/** What the status line says, most pressing first: a function of the state and the time, and nothing else. */

import { formatTime, formatUptime, plural } from "./format";
import { isUnknownInstrument, keyOf, type Instrument, type Problem } from "./feed/wire";
import { isNamed, similarlyNamed } from "./instrument-name";
import { motionOf } from "./standing-word";
import { nameOf, RESTART_NOTICE_MS, type State } from "./state";

export type Tone = "bad" | "past" | "warn" | "info" | "good";

export interface Notice {
  /** A stable name, for tests and styles. */
  readonly id: string;
  readonly tone: Tone;
  readonly text: string;
  /** What the reader can do about it. */
  readonly action?: "retry" | "key" | "live" | "reload";
  /** Instruments to choose from. */
  readonly choices?: readonly Choice[];
}

export interface Choice {
  readonly label: string;
  readonly instrument: string;
}

const CHOICES_SHOWN_MAX = 8;
const NONE: readonly Instrument[] = [];

const NO_BOOK_AFTER_MS = 3_000;

const LAST_RECEIVED = " The book below is the last one received.";

export function notices(state: State, nowMs: number): Notice[] {
  const found = [
    linkNotice(state, nowMs),
    pastNotice(state, nowMs),
    travelNotice(state),
    problemNotice(state),
    missingNotice(state),
    sourceNotice(state),
    ...bookNotices(state, nowMs),
  ];
  const told = found.filter((notice) => notice !== null);
  return told.length > 0 ? told : [steadyNotice(state)];
}

function linkNotice(state: State, nowMs: number): Notice | null {
  const { link } = state;
  switch (link.state) {
    case "open":
      return null;
    case "connecting":
      return { id: "connecting", tone: "info", text: "Connecting to the server…" };
    case "locked": {
      const kept = state.book === null ? "" : LAST_RECEIVED;
      // What it expected in which header is for programs: here there is a field for it.
      const [reason = ""] = link.reason.split(": expected");
      return { id: "locked", tone: "bad", text: `The server wants an API key: ${reason}.${kept}`, action: "key" };
    }
    case "paused":
      return { id: "paused", tone: "info", text: "Paused while this tab is hidden." };
    case "down": {
      const left = link.retryAtMs === null ? 0 : Math.max(0, Math.ceil((link.retryAtMs - nowMs) / 1000));
      const next = link.retryAtMs === null || left === 0 ? "trying now" : `next try in ${left} s`;
      const kept = state.book === null ? "" : LAST_RECEIVED;
      return {
        id: "disconnected",
        tone: "bad",
        text: `Disconnected: ${link.reason}; ${next} (attempt ${link.attempt}).${kept}`,
        action: "retry",
      };
    }
  }
}

/** Nobody may take the past for the present. */
function pastNotice(state: State, nowMs: number): Notice | null {
  const { replay, book, link } = state;
  const motion = motionOf(state);
  if (replay === null || motion === "live") return null;
  // The clock of the replay is told once a second; a book's messages are newer while it plays.
  const isNewer = book !== null && BigInt(book.tsRecv) > BigInt(replay.ts);
  const time = formatTime(isNewer ? book.tsRecv : replay.ts).short;
  const doing = {
    playing: `playing at ${replay.speed}×`,
    paused: "paused",
    following: "caught up with the newest record; it follows what is recorded, a moment behind live",
    ended: "at the end of what is recorded",
    failed: "it goes no further here; seek another time",
  }[motion];
  const cut = link.state === "open" && link.via === "polling" ? " It stands still until the server takes a socket again." : "";
  const waiting = book !== null ? "" : isWithoutBook(state, nowMs) ? " This book is not recorded at that time." : " Waiting for this book in the recording.";
  return { id: "past", tone: replay.state === "failed" ? "bad" : "past", text: `The past: ${time}, ${doing}.${waiting}${cut}`, action: "live" };
}

/** Standing still, a replay comes to no book: one that is not there after so long is not recorded there. */
export function isWithoutBook({ replay, book, changedAtMs }: State, nowMs: number): boolean {
  return replay?.state === "paused" && book === null && nowMs - changedAtMs >= NO_BOOK_AFTER_MS;
}

function travelNotice({ problems }: State): Notice | null {
  const problem = problems.get("replay");
  return problem === undefined ? null : { id: "no-past", tone: "warn", text: refusal(problem) };
}

function problemNotice(state: State): Notice | null {
  const problem = state.problems.get("book") ?? state.problems.get("instruments") ?? state.problems.get("depth");
  if (problem === undefined || state.link.state !== "open") return null;
  const name = state.selected ?? "the instrument";
  if (isUnknownInstrument(problem) && !state.problems.has("instruments")) {
    const { choices, areSimilar } = othersThan(name, state.instruments ?? NONE);
    const kept = state.book === null ? "" : LAST_RECEIVED;
    const next = choices.length === 0 ? "Waiting for it to come back." : areSimilar ? "Similar names:" : "Choose another:";
    return { id: "gone", tone: "bad", text: `The server has no book for ${name} (any more).${kept} ${next}`, choices };
  }
  if (problem.status === 409) {
    const choices = problem.choices.slice(0, CHOICES_SHOWN_MAX).map((key) => ({ label: key, instrument: key }));
    return { id: "ambiguous", tone: "warn", text: `${name} names several books. Choose one:`, choices };
  }
  return { id: "refused", tone: "bad", text: refusal(problem) };
}

interface Others {
  readonly of: string;
  readonly instruments: readonly Instrument[];
  readonly choices: readonly Choice[];
  readonly areSimilar: boolean;
}

let lastOthers: Others = { of: "", instruments: NONE, choices: [], areSimilar: false };

/** Ten times a second it would be a long task to compare thousands of names: of the same ones the last answer stands. */
function othersThan(name: string, instruments: readonly Instrument[]): Others {
  if (lastOthers.of === name && lastOthers.instruments === instruments) return lastOthers;
  const others = instruments.filter((instrument) => !isNamed(instrument, name));
  const similar = similarlyNamed(others, name);
  const areSimilar = similar.length > 0;
  const offered = (areSimilar ? similar : others).slice(0, CHOICES_SHOWN_MAX);
  const choices = offered.map((other) => ({ label: nameOf(other), instrument: keyOf(other) }));
  return (lastOthers = { of: name, instruments, choices, areSimilar });
}

/** After an update of the server the parts of the page before are no longer there; or the line was lost between. */
function missingNotice({ missing }: State): Notice | null {
  if (missing.size === 0) return null;
  return { id: "missing", tone: "warn", text: `Part of the page could not be loaded: ${[...missing].join(", ")}.`, action: "reload" };
}

function refusal(problem: Problem): string {
  const status = problem.status === 0 ? "" : ` (${problem.status})`;
  const detail = problem.detail === "" ? "" : `: ${problem.detail}`;
  const trace = problem.traceId === "" ? "" : ` [trace ${problem.traceId}]`;
  return `${problem.title}${status}${detail}${trace}`;
}

function sourceNotice(state: State): Notice | null {
  const source = state.metrics?.source;
  // What becomes of the source does not change what has been.
  if (source === undefined || state.replay !== null || state.link.state === "connecting" || state.link.state === "locked") return null;
  const kept = state.book === null ? "" : " The book stays as it was.";
  switch (source.state) {
    case "failed":
      return { id: "source-failed", tone: "bad", text: `The source failed: ${source.error ?? "no reason given"}.${kept}` };
    case "ended":
      return { id: "source-ended", tone: "info", text: endedText(state, source.uri) };
    case "starting":
      return { id: "source-starting", tone: "info", text: "The source is starting; no data yet." };
    case "connecting":
      return { id: "source-connecting", tone: "info", text: "The source is connecting; no data yet." };
    case "reconnecting":
      return { id: "source-reconnecting", tone: "bad", text: `The source has lost its connection and is reconnecting.${kept}` };
    case "running":
      return state.instruments?.length === 0
        ? { id: "no-data", tone: "info", text: "Connected; the source has brought no instrument yet." }
        : null;
  }
}

function endedText({ book, metrics, problems }: State, uri: string): string {
  const what = uri.startsWith("file:") ? "The file is finished" : "The source has ended";
  const messages = metrics?.totalMessages ?? 0;
  if (messages === 0) return `${what}; there were no messages in it.`;
  // A refused book is not of this source: it is left over from a server before.
  const kept = book === null || problems.has("book") ? "" : " The book stays as it is.";
  return `${what} after ${plural(messages, "message")}.${kept}`;
}

function bookNotices(state: State, nowMs: number): (Notice | null)[] {
  const { book, restart, suspectReason } = state;
  const [why, where] = suspectReason === "" ? ["", "; /v1/feed/transitions says why"] : [` (${suspectReason})`, ""];
  const [silentMs, staleMs, lateMs] = [state.silentForMs(), state.staleForMs(), state.lateForMs()];
  return [
    silentMs === null
      ? null
      : { id: "silent", tone: "bad", text: `Silent: nothing has come from the server for ${formatUptime(silentMs / 1000)}.${LAST_RECEIVED}` },
    lateMs === null
      ? null
      : { id: "late", tone: "bad", text: `Late: what is shown may be ${formatUptime(lateMs / 1000)} old, as the line to the server is too slow.` },
    staleMs === null
      ? null
      : { id: "stale", tone: "warn", text: `Stale: nothing new for ${formatUptime(staleMs / 1000)} although the source runs.` },
    book?.state === "suspect"
      ? {
          id: "suspect",
          tone: "warn",
          text: `Suspect${why}: it may be wrong until its next snapshot, clear or replay${where}.`,
        }
      : null,
    book?.state === "empty" ? { id: "empty", tone: "info", text: "Empty: no order rests in this book." } : null,
    book?.state === "snapshot" ? { id: "snapshot", tone: "info", text: "The feed's snapshot is being loaded." } : null,
    book?.crossed === true
      ? { id: "crossed", tone: "warn", text: "Crossed: the best bid is above the best ask, as may happen before an open." }
      : null,
    restart !== null && nowMs - restart.atMs < RESTART_NOTICE_MS
      ? {
          id: "restarted",
          tone: "info",
          text:
            restart.what === "server"
              ? "The server was restarted; its books begin a new epoch."
              : "The book was cleared or reloaded; it begins a new epoch.",
        }
      : null,
  ];
}

function steadyNotice(state: State): Notice {
  if (state.book === null) return { id: "waiting", tone: "info", text: "Waiting for the first book…" };
  return { id: "live", tone: "good", text: "Live: updates are arriving." };
}
