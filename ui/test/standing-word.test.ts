import { beforeEach, describe, expect, it } from "vitest";
import type { Metrics } from "../src/feed/wire";
import { notices } from "../src/notices";
import { distanceWords, motionOf, standingWord } from "../src/standing-word";
import { LATE_FROM_MS, STALE_AFTER_MS, State } from "../src/state";
import { book, metrics } from "./fixtures";
import { replay } from "./player";

let nowMs = 0;
let state: State;

function word(): string {
  return standingWord(state).text;
}

function source(name: Metrics["source"]["state"]): void {
  state.onMetrics(metrics({ source: { uri: "synthetic:", state: name, error: null } }));
}

beforeEach(() => {
  nowMs = 1_000;
  state = new State(() => nowMs);
  state.select("1:1");
  state.onLink({ state: "open", via: "stream" });
  state.onMetrics(metrics());
  state.onBook(book());
});

describe("the word of the replay bar, live", () => {
  it("is live only of a book that is the market's now", () => {
    expect(standingWord(state)).toMatchObject({ text: "live", state: "live" });
    for (const name of ["ended", "failed", "reconnecting"] as const) {
      source(name);
      expect([word(), standingWord(state).state]).toEqual([name, name]);
    }
    source("running");
    nowMs += STALE_AFTER_MS;
    expect(word()).toBe("silent");
    source("running");
    expect(word()).toBe("stale");
    state.onDelay(LATE_FROM_MS);
    expect(word()).toBe("late");
    state.onDelay(0);
    state.onBook(book({ seq: 2, state: "suspect" }));
    expect(word()).toBe("suspect");
    state.onBook(book({ seq: 3, state: "empty" }));
    expect(word()).toBe("live");
    state.onProblem("book", { status: 404, title: "No", detail: "", code: "", traceId: "", choices: [] });
    expect(word()).toBe("last known");
    state.select("1:9");
    expect(word()).toBe("no book");
  });

  it("is that of the connection where there is none, also in the past", () => {
    state.onLink({ state: "down", reason: "gone", attempt: 1, retryAtMs: null });
    expect(word()).toBe("disconnected");
    state.onLink({ state: "locked", reason: "no key" });
    expect(word()).toBe("key needed");
    state.onReplay(replay({ state: "playing" }));
    state.onLink({ state: "connecting" });
    expect(word()).toBe("connecting");
    state.onLink({ state: "open", via: "polling" });
    expect(word()).toBe("held");
  });
});

describe("how far the past is behind", () => {
  const S = 1_000_000_000n;

  it("is told of a running source's live, and of the end of one that has ended", () => {
    expect(distanceWords(state, S)).toBeNull();
    state.onReplay(replay({ state: "paused" }));
    expect(distanceWords(state, 2n * S)).toBe("2.0 s behind live");
    source("ended");
    expect(distanceWords(state, 2n * S)).toBe("2.0 s before the end");
  });

  it("is not told beside a word that says that the end is on view", () => {
    source("ended");
    state.onReplay(replay({ state: "ended" }));
    expect([word(), distanceWords(state, 0n)]).toEqual(["at the end", null]);
    state.onReplay(replay({ state: "paused" }));
    expect([word(), distanceWords(state, 0n)]).toEqual(["paused", "at the end"]);
  });
});

describe("a replay that has come to the newest record", () => {
  it("follows a recording that goes on, and says so", () => {
    state.onReplay(replay({ state: "ended" }));
    expect([motionOf(state), word()]).toEqual(["following", "caught up"]);
    const [notice] = notices(state, nowMs);
    expect(notice?.text).toContain("caught up with the newest record; it follows what is recorded, a moment behind live");
    expect(notice?.action).toBe("live");
  });

  it("is at the end where nothing more is recorded", () => {
    state.onReplay(replay({ state: "ended" }));
    source("ended");
    expect([motionOf(state), word()]).toEqual(["ended", "at the end"]);
    expect(notices(state, nowMs)[0]?.text).toContain("at the end of what is recorded");
    state.onMetrics(metrics({ recording: { state: "failing", warning: null, recordsLost: 0, tablesLagS: null } }));
    expect(motionOf(state)).toBe("ended");
  });
});
