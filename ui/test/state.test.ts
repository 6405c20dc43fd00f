import { beforeEach, describe, expect, it } from "vitest";
import type { Problem } from "../src/feed/wire";
import { notices } from "../src/notices";
import { spokenSummary, statePill } from "../src/panes/summary";
import { LATE_FROM_MS, RESTART_NOTICE_MS, STALE_AFTER_MS, State } from "../src/state";
import { book, level, metrics } from "./fixtures";

let nowMs = 0;
let state: State;

function ids(): string[] {
  return notices(state, nowMs).map((notice) => notice.id);
}

function text(id: string): string {
  return notices(state, nowMs).find((notice) => notice.id === id)?.text ?? "";
}

function problem(status: number, changes: Partial<Problem> = {}): Problem {
  return { status, title: "No", detail: "", code: "", traceId: "", choices: [], ...changes };
}

beforeEach(() => {
  nowMs = 1_000;
  state = new State(() => nowMs);
  state.select("1:1");
  state.onLink({ state: "open", via: "stream" });
  state.onMetrics(metrics());
  state.onBook(book());
});

describe("what the page says", () => {
  it("is live when nothing is wrong", () => {
    expect(ids()).toEqual(["live"]);
  });

  it("says connecting before the first answer, and no data before the first instrument", () => {
    const fresh = new State(() => nowMs);
    expect(notices(fresh, nowMs).map(({ id }) => id)).toEqual(["connecting"]);
    fresh.onLink({ state: "open", via: "stream" });
    fresh.onMetrics(metrics());
    fresh.onInstruments([]);
    expect(notices(fresh, nowMs).map(({ id }) => id)).toEqual(["no-data"]);
  });

  it("is late, and nothing to rely on, while the line is too slow", () => {
    state.onDelay(LATE_FROM_MS - 1);
    expect([ids(), state.standing()]).toEqual([["live"], "current"]);
    state.onDelay(11_000);
    expect([ids(), state.standing()]).toEqual([["late"], "last-known"]);
    expect(text("late")).toContain("11 s old");
    state.onDelay(40);
    expect(ids()).toEqual(["live"]);
    state.onDelay(11_000);
    state.onLink({ state: "down", reason: "gone", attempt: 1, retryAtMs: null });
    state.onLink({ state: "open", via: "stream" });
    expect(ids()).toEqual(["live"]);
  });

  it("is stale when the source runs but seq stands still for three seconds", () => {
    nowMs += STALE_AFTER_MS - 1;
    state.onBook(book());
    expect(ids()).toEqual(["live"]);
    nowMs += 1;
    expect(ids()).toEqual(["stale"]);
    state.onBeat(false);
    expect(ids()).toEqual(["stale"]);
    state.onBeat(true);
    expect(ids()).toEqual(["live"]);
    nowMs += STALE_AFTER_MS;
    state.onBook(book({ seq: 2 }));
    expect(ids()).toEqual(["live"]);
  });

  it("is silent, and says nothing of source or line, when the server has said nothing at all for three seconds", () => {
    nowMs += STALE_AFTER_MS - 1;
    expect([ids(), state.standing()]).toEqual([["live"], "current"]);
    state.onDelay(LATE_FROM_MS);
    nowMs += 1;
    expect([ids(), state.standing()]).toEqual([["silent"], "last-known"]);
    expect(text("silent")).toBe("Silent: nothing has come from the server for 3 s. The book below is the last one received.");
    state.onDelay(0);
    // It is there, and its book stands still.
    for (const heard of [() => { state.onBeat(false); }, () => { state.onMetrics(metrics()); }]) {
      heard();
      expect([ids(), state.standing()]).toEqual([["stale"], "current"]);
      nowMs += STALE_AFTER_MS;
      expect(ids()).toEqual(["silent"]);
    }
    state.onLink({ state: "down", reason: "gone", attempt: 1, retryAtMs: null });
    expect(ids()).toEqual(["disconnected"]);
    state.onLink({ state: "open", via: "stream" });
    expect(ids()).toEqual(["live"]);
  });

  it("has metrics of now only while the server is heard, also of the past", () => {
    expect(state.areMetricsCurrent).toBe(true);
    state.onReplay({ id: "r1", state: "paused", ts: "1758751200123000000", speed: 1 });
    nowMs += STALE_AFTER_MS;
    expect(state.areMetricsCurrent).toBe(false);
    state.onMetrics(metrics());
    expect(state.areMetricsCurrent).toBe(true);
    state.onLink({ state: "down", reason: "gone", attempt: 1, retryAtMs: null });
    expect(state.areMetricsCurrent).toBe(false);
  });

  it("says that this is the past, when, and how it moves; nothing of the source of now", () => {
    state.onMetrics(metrics({ source: { uri: "file:x", state: "ended", error: null } }));
    state.onReplay({ id: "r1", state: "playing", ts: "1758751200123000000", speed: 10 });
    expect(state.book, "that of now").toBeNull();
    state.onBook(book());
    nowMs += 60_000;
    expect(ids()).toEqual(["past"]);
    expect(state.standing()).toBe("past");
    // The book's message is newer than the clock that comes once a second.
    expect(text("past")).toBe("The past: 2025-09-24 22:00:00.123 UTC, playing at 10×.");
    state.onReset("moved");
    state.onReplay({ id: "r1", state: "paused", ts: "1758751201000000000", speed: 10 });
    expect(text("past")).toBe("The past: 2025-09-24 22:00:01.000 UTC, paused. Waiting for this book in the recording.");
    nowMs += 3_000;
    expect(text("past")).toBe("The past: 2025-09-24 22:00:01.000 UTC, paused. This book is not recorded at that time.");
    state.onReplay({ id: "r1", state: "playing", ts: "1758751201000000000", speed: 10 });
    expect(text("past")).toContain("Waiting for this book in the recording.");
    expect(statePill(book({ state: "live" }), "past").text).toBe("past");
    expect(statePill(book({ state: "suspect" }), "past")).toMatchObject({ text: "past · suspect", state: "suspect" });
    state.onReplay(null);
    expect(ids()).toEqual(["source-ended"]);
  });

  it("names the parts that could not be loaded until they are there", () => {
    state.onPart("tape", false);
    state.onPart("settings", false);
    expect(text("missing")).toBe("Part of the page could not be loaded: tape, settings.");
    state.onPart("tape", true);
    state.onPart("settings", true);
    expect(ids()).not.toContain("missing");
  });

  it("says why a moment cannot be shown", () => {
    state.onProblem("replay", { ...problem(0), title: "That moment cannot be shown", detail: "nothing was recorded then" });
    expect(text("no-past")).toBe("That moment cannot be shown: nothing was recorded then");
  });

  it("is not stale when the source has ended, or after a pause of ours", () => {
    nowMs += 60_000;
    state.onLink({ state: "paused" });
    state.onLink({ state: "open", via: "stream" });
    expect(ids()).toEqual(["live"]);
    nowMs += 60_000;
    state.onMetrics(metrics({ source: { uri: "file:/a.dbn", state: "ended", error: null }, totalMessages: 38_212 }));
    expect(ids()).toEqual(["source-ended"]);
    expect(text("source-ended")).toBe("The file is finished after 38,212 messages. The book stays as it is.");
  });

  it("says in one sentence that an ended source brought nothing", () => {
    const empty = new State(() => nowMs);
    empty.onLink({ state: "open", via: "stream" });
    empty.onMetrics(metrics({ source: { uri: "file:/a.dbn", state: "ended", error: null }, totalMessages: 0 }));
    expect(notices(empty, nowMs).map((notice) => notice.text)).toEqual(["The file is finished; there were no messages in it."]);
  });

  it("speaks of no book where an ended source left none", () => {
    state.select("1:9");
    state.onMetrics(metrics({ source: { uri: "synthetic:", state: "ended", error: null }, totalMessages: 1 }));
    expect(text("source-ended")).toBe("The source has ended after 1 message.");
    state.onBook(book());
    state.onProblem("book", problem(404));
    expect(text("source-ended")).toBe("The source has ended after 1 message.");
  });

  it("counts down to the next try, and offers one at once", () => {
    state.onLink({ state: "down", reason: "the server cannot be reached", attempt: 3, retryAtMs: nowMs + 1_900 });
    expect(text("disconnected")).toBe(
      "Disconnected: the server cannot be reached; next try in 2 s (attempt 3). The book below is the last one received.",
    );
    expect(notices(state, nowMs)[0]?.action).toBe("retry");
    state.onLink({ state: "down", reason: "the server cannot be reached", attempt: 3, retryAtMs: null });
    expect(text("disconnected")).toContain("trying now");
  });

  it("gives the reason of a failed source, and keeps the book", () => {
    state.onMetrics(metrics({ source: { uri: "file:/a.dbn", state: "failed", error: "byte 4096: truncated record" } }));
    expect(text("source-failed")).toBe("The source failed: byte 4096: truncated record. The book stays as it was.");
    expect(state.book).not.toBeNull();
  });

  it("offers the others when an instrument has disappeared", () => {
    const other = { symbol: "ESZ5", publisherId: 1, instrumentId: 2, state: "live", seq: 1, orders: 1 } as const;
    state.onInstruments([other, { ...other, symbol: "CLX5", instrumentId: 1 }]);
    state.onProblem("book", problem(404));
    expect(text("gone")).toBe(
      "The server has no book for 1:1 (any more). The book below is the last one received. Choose another:",
    );
    expect(notices(state, nowMs)[0]).toMatchObject({ id: "gone", choices: [{ label: "ESZ5", instrument: "1:2" }] });
    state.onProblem("book", null);
    expect(ids()).toEqual(["live"]);
  });

  it("compares the names of the others once, however often it is written", () => {
    let read = 0;
    const other = { publisherId: 1, instrumentId: 2, state: "live", seq: 1, orders: 1 } as const;
    const counted = { ...other, get symbol() { read += 1; return "ESZ5"; } };
    state.onInstruments([counted]);
    state.onProblem("book", problem(404));
    const first = notices(state, nowMs);
    const readOnce = read;
    expect([notices(state, nowMs + 100), read]).toEqual([first, readOnce]);
    state.onInstruments([counted, { ...other, symbol: "CLX5", instrumentId: 3 }]);
    expect(notices(state, nowMs)[0]?.choices).toHaveLength(2);
  });

  it("lists the books that an ambiguous name means", () => {
    state.onProblem("book", problem(409, { choices: ["1:5", "2:5"] }));
    const [notice] = notices(state, nowMs);
    expect(notice?.id).toBe("ambiguous");
    expect(notice?.choices?.map(({ instrument }) => instrument)).toEqual(["1:5", "2:5"]);
  });

  it("passes on any other refusal with its trace", () => {
    state.onProblem("book", problem(422, { title: "Bad depth", detail: "depth: expected 1..10000", traceId: "ab" }));
    expect(text("refused")).toBe("Bad depth (422): depth: expected 1..10000 [trace ab]");
  });

  it("tells several facts at once, the most pressing first", () => {
    state.onBook(book({ seq: 2, state: "suspect", crossed: true, bids: [level("65.00")] }));
    state.onMetrics(metrics({ source: { uri: "file:/a.dbn", state: "ended", error: null } }));
    expect(ids()).toEqual(["source-ended", "suspect", "crossed"]);
    // Packets are one reason of many.
    expect(text("suspect")).toContain("/v1/feed/transitions");
    state.suspectReason = "half-open";
    expect(text("suspect")).toBe("Suspect (half-open): it may be wrong until its next snapshot, clear or replay.");
  });
});

describe("the book with queues", () => {
  const one = { ...level("64.77"), queue: [["1", 3, "5"]] } as const;

  it("is that of all levels, unless they came without", () => {
    const [few, all] = [book({ bids: [one] }), book({ bids: [one, level("64.76")] })];
    state.onBook(few);
    expect(state.queued).toBe(few);
    state.onDepth(all);
    expect(state.queued).toBe(all);
    state.onDepth(book({ bids: [level("64.77"), level("64.76")] }));
    expect(state.queued).toBe(few);
    const empty = book({ bids: [], asks: [] });
    state.onDepth(empty);
    expect(state.queued).toBe(empty);
  });
});

describe("the standing of the book", () => {
  it("is current on a steady connection, stale or not", () => {
    expect(state.standing()).toBe("current");
    nowMs += 2 * STALE_AFTER_MS;
    state.onMetrics(metrics());
    expect([ids(), state.standing()]).toEqual([["stale"], "current"]);
  });

  it("is last known while the server is gone, and current again with it", () => {
    state.onLink({ state: "down", reason: "", attempt: 1, retryAtMs: null });
    expect(state.standing()).toBe("last-known");
    state.onLink({ state: "open", via: "stream" });
    expect(state.standing()).toBe("current");
  });

  it("is last known when the source has failed or the book is refused", () => {
    state.onMetrics(metrics({ source: { uri: "file:/a.dbn", state: "failed", error: "truncated" } }));
    expect(state.standing()).toBe("last-known");
    state.onMetrics(metrics());
    state.onProblem("book", problem(404));
    expect(state.standing()).toBe("last-known");
    state.onProblem("book", null);
    expect(state.standing()).toBe("current");
  });

  it("is ended with its source, unless the connection is lost as well", () => {
    state.onMetrics(metrics({ source: { uri: "file:/a.dbn", state: "ended", error: null } }));
    expect(state.standing()).toBe("ended");
    state.onLink({ state: "down", reason: "", attempt: 1, retryAtMs: null });
    expect(state.standing()).toBe("last-known");
  });

  it("needs a book", () => {
    state.select("1:2");
    state.onProblem("book", problem(404));
    expect(state.standing()).toBe("current");
  });

  it("takes the colour from the pill of a book that is only remembered, in sight and in speech", () => {
    expect(statePill(book(), "current")).toMatchObject({ text: "live", state: "live" });
    expect(statePill(book(), "current", true)).toMatchObject({ text: "stale", state: "stale" });
    expect(statePill(book({ state: "suspect" }), "current", true).text).toBe("suspect");
    expect(spokenSummary(book(), "current", true)).toContain(": stale;");
    expect(statePill(book(), "ended")).toMatchObject({ text: "live", state: "live" });
    const remembered = statePill(book(), "last-known");
    expect(remembered).toMatchObject({ text: "last known", state: "last-known" });
    expect(remembered.title).toContain("live");
    expect(spokenSummary(book(), "last-known")).toMatch(/^CLX5: last known; best bid 64.77/);
    expect(statePill(null, "last-known").text).toBe("no book");
  });
});

describe("epochs", () => {
  it("tells a new epoch of the book, for a while", () => {
    state.onBook(book({ epoch: "aaaa", seq: 0 }));
    expect(ids()).toEqual(["restarted"]);
    expect(text("restarted")).toContain("cleared or reloaded");
    nowMs += RESTART_NOTICE_MS;
    state.onBook(book({ epoch: "aaaa", seq: 5 }));
    expect(ids()).toEqual(["live"]);
  });

  it("takes a smaller uptime for a restarted server, and its new epochs for the same news", () => {
    nowMs += 1_000;
    state.onMetrics(metrics({ uptimeS: 2 }));
    state.onBook(book({ epoch: "aaaa", seq: 0 }));
    expect(text("restarted")).toContain("server was restarted");
  });

  it("knows a restarted server that has run for longer than the one before was known", () => {
    const fresh = new State(() => nowMs);
    fresh.onMetrics(metrics({ uptimeS: 1 }));
    fresh.onLink({ state: "open", via: "stream" });
    fresh.onLink({ state: "down", reason: "", attempt: 1, retryAtMs: null });
    nowMs += 4_000;
    fresh.onMetrics(metrics({ uptimeS: 2 }));
    expect(fresh.restart?.what).toBe("server");
  });

  it("does not take an outage of the network, or a late answer, for a restart", () => {
    state.onLink({ state: "down", reason: "", attempt: 1, retryAtMs: null });
    nowMs += 60_000;
    state.onMetrics(metrics({ uptimeS: 160 }));
    state.onLink({ state: "open", via: "stream" });
    nowMs += 5_000;
    state.onMetrics(metrics({ uptimeS: 161 }));
    expect(state.restart).toBeNull();
  });

  it("does not take another instrument's epoch for a restart", () => {
    state.select("1:2");
    expect(state.book).toBeNull();
    state.onBook(book({ instrumentId: 2, epoch: "bbbb" }));
    expect(ids()).toEqual(["live"]);
  });
});

describe("the market's time", () => {
  const S = 1_000_000_000n;
  const START = BigInt(book().tsRecv);
  const seconds = (): number => Number(state.marketNs() - START) / 1e9;

  it("goes on live while nothing happens, and stands where the source or the line does", () => {
    nowMs += 90_000;
    state.onBeat(false);
    expect(Math.round(seconds())).toBe(90);
    state.onBook(book({ seq: 2, tsRecv: String(START + 91n * S) }));
    expect(Math.round(seconds())).toBe(91);
    nowMs += 60_000;
    state.onMetrics(metrics({ source: { uri: "", state: "ended", error: null } }));
    expect(Math.round(seconds())).toBe(91);
    state.onMetrics(metrics());
    expect(Math.round(seconds())).toBe(151);
    state.onLink({ state: "down", reason: "gone", attempt: 1, retryAtMs: null });
    expect(Math.round(seconds())).toBe(91);
  });

  it("is as slow as a recording that is played slowly, and begins anew with another book", () => {
    for (let at = 1; at <= 40; at += 1) {
      nowMs += 500;
      state.onBook(book({ seq: 1 + at, tsRecv: String(START + (BigInt(at) * S) / 20n) }));
    }
    nowMs += 10_250;
    state.onBeat(false);
    expect(seconds()).toBeCloseTo(3, 1);
    state.select("1:2");
    expect(state.marketNs()).toBe(0n);
    state.onBook(book({ instrumentId: 2 }));
    nowMs += 10_250;
    state.onBeat(false);
    expect(Math.round(seconds())).toBe(10);
  });

  it("is held while the server is silent, and goes on with its next word", () => {
    nowMs += STALE_AFTER_MS;
    const held = seconds();
    expect(Math.round(held)).toBe(3);
    nowMs += 60_000;
    expect(seconds()).toBe(held);
    state.onBeat(false);
    expect(Math.round(seconds())).toBe(63);
  });

  it("is that of the replay in the past, where its book is older, and that of the book where it is newer", () => {
    const replay = { ts: String(START + 30n * S), state: "paused", speed: 1 } as const;
    state.onReplay(replay as unknown as NonNullable<State["replay"]>);
    state.onBook(book());
    nowMs += 60_000;
    expect(seconds()).toBe(30);
    state.onBook(book({ seq: 2, tsRecv: String(START + 31n * S) }));
    expect(seconds()).toBe(31);
  });
});
