import { describe, expect, it, vi } from "vitest";
import { get, type Answer } from "../src/feed/request";
import { HeatmapPast, ROWS_MAX } from "../src/heatmap-past";
import { HeatmapRecord } from "../src/heatmap-record";
import { parseLevelRows, RECORDED_LEVELS, stepsOf } from "../src/heatmap-recorded";
import { recordedCaption, stretchesOf } from "../src/panes/heatmap-recorded-mark";
import { restingLines } from "../src/heatmap-words";
import { RecordedLine } from "../src/replay-line";
import { State } from "../src/state";
import { book, level, metrics, WIRE_BOOK } from "./fixtures";

const S = 1_000_000_000n;
const NOW_S = 1_000_005;

const row = (second: number, side: "B" | "A", price: string, size: number) => ({
  ...{ ts: (BigInt(second) * S).toString(), side, price, size, count: 1, ordinal: second },
});

function sizesOf(record: HeatmapRecord, from: number, to: number): (number | null)[] {
  return Array.from({ length: to - from }, (_, at) => record.columns.level(from + at, "B", 0)?.size ?? null);
}

describe("a refusal", () => {
  it.each([["3", 3_000], [null, null], ["Wed, 21 Oct 2026 07:28:00 GMT", null]])("with Retry-After %j is worth another try after %j ms", async (told, expected) => {
    const headers: Record<string, string> = told === null ? {} : { "Retry-After": told };
    vi.stubGlobal("fetch", () => Promise.resolve(new Response('{"code":"history_busy"}', { status: 503, headers })));
    const answer = await get("/v1/history", null);
    vi.unstubAllGlobals();
    expect(answer).toMatchObject({ kind: "refused", problem: { status: 503 }, retryAfterMs: expected });
  });
});

describe("levels by the second", () => {
  it("are a book for each step, from one at the beginning on", () => {
    const rows = parseLevelRows({ levels: [row(10, "B", "64.77", 4), row(11, "B", "64.77", 0), row(11, "B", "64.76", 9)] });
    const base = book({ bids: [level("64.77", 5)], asks: [level("64.78", 7)] });
    const steps = stepsOf(base, rows ?? [], { from: 9, to: 13, stepS: 1 });
    expect(steps.map(({ from, bids }) => [from, ...bids.map(({ price, size }) => `${price}:${size}`)])).toEqual([
      [9, "64.77:5"],
      [10, "64.77:4"],
      [11, "64.76:9"],
      [12, "64.76:9"],
    ]);
    expect(steps.every(({ asks }) => asks[0]?.size === 7)).toBe(true);
  });

  it("begin with the first word of a book that was not there before", () => {
    const rows = parseLevelRows({ levels: [row(20, "A", "64.78", 3)] }) ?? [];
    expect(stepsOf(null, rows, { from: 0, to: 40, stepS: 10 }).map(({ from }) => from)).toEqual([20, 30]);
  });

  it("say nothing of prices beyond the last level of a book that was cut off", () => {
    const bids = Array.from({ length: RECORDED_LEVELS }, (_, at) => level((100 - at / 100).toFixed(2)));
    const rows = parseLevelRows({ levels: [row(0, "B", "98.00", 3), row(0, "B", "100.01", 2)] }) ?? [];
    const [step] = stepsOf(book({ bids, asks: [] }), rows, { from: 0, to: 1, stepS: 1 });
    expect([step?.bids[0]?.price, step?.bids.at(-1)?.price]).toEqual(["100.01", "98.01"]);
  });

  it("are not taken where there are more than one answer holds", () => {
    expect(parseLevelRows({ levels: [], next_cursor: "x" })).toBeNull();
    expect(() => parseLevelRows({ levels: [{ ts: 5 }] })).toThrow("levels[0].ts");
  });
});

describe("what was recorded before the heatmap began to look", () => {
  function made(line: Partial<ConstructorParameters<typeof RecordedLine>[0]> = {}, seenS = NOW_S) {
    const asked: string[] = [];
    const answers: ((path: string) => unknown)[] = [];
    /** For the next requests, before they are answered. */
    const refusals: Answer[] = [];
    const record = new HeatmapRecord(() => undefined);
    const request = async (path: string): Promise<Answer> => {
      asked.push(path);
      await Promise.resolve();
      const refused = refusals.shift();
      if (refused !== undefined) return refused;
      const body = answers.at(-1)?.(path) ?? (path.includes("/history/") ? { levels: [row(0, "B", "64.77", 4)] } : WIRE_BOOK);
      return { kind: "ok", body, etag: null };
    };
    const past = new HeatmapPast(record, request, () => undefined, () => 0.5);
    const state = new State();
    state.onMetrics(metrics());
    const sessions = [{ source: "file:a", start: BigInt(NOW_S - 3_600) * S, end: BigInt(NOW_S - 1) * S, records: 1 }];
    const recorded = new RecordedLine({ sessions, holes: [], ...line });
    record.takeDepth(book({ tsRecv: (BigInt(seenS) * S + 5n).toString() }), true, 0);
    /** Looks, and lets all answers come. */
    const look = async (nowMs: number): Promise<void> => {
      past.refresh(state, recorded, nowMs);
      await new Promise((resolve) => setTimeout(resolve, 0));
    };
    return { asked, answers, refusals, record, state, look };
  }

  it("is asked for once the tables have it, from the newest back, and stands in front of what was seen", async () => {
    const { asked, record, look } = made();
    const { first } = record.columns;
    await look(0);
    await look(1_400);
    expect(asked).toEqual([]);
    for (let nowMs = 1_500; nowMs < 2_500; nowMs += 100) await look(nowMs);
    const spans = asked.filter((path) => path.includes("/history/")).map((path) => /start=(\d+)0{9}&end=(\d+)0{9}(?:.*interval=(\d+)s)?/.exec(path));
    expect(spans.map((span) => span?.slice(1).map(Number))).toEqual([
      [999_990, 1_000_005, NaN],
      [999_940, 999_990, NaN],
      [999_700, 999_940, 10],
    ]);
    expect(asked.every((path) => path.startsWith("/v1/books/1%3A1"))).toBe(true);
    const { columns } = record;
    expect(first - columns.first).toBe(15 + 50 + 24);
    expect(record.recordedTo).toBe(first);
    expect([columns.kind(first), columns.kind(first - 1)]).toEqual(["book", "recorded"]);
    expect(sizesOf(record, first - 2, first + 1)).toEqual([1, 1, 5]);
    expect(columns.tsRecv(first - 1)).toBe(BigInt(NOW_S - 1) * S);
    expect(columns.tsRecv(columns.first)).toBe(999_700n * S);
    // The time that is told of one is that of its book.
    expect(restingLines(columns, columns.first, 0, 1)).toContain("1970-01-12T13:41:49.999999999Z");
    expect(stretchesOf(columns, first).map(({ from, until, stepS }) => [columns.tsOf(from), columns.tsOf(until), stepS, recordedCaption(stepS)])).toEqual([
      [999_700n * S, 999_940n * S, 10, "recorded, each 10 s"],
      [999_940n * S, BigInt(NOW_S) * S + 5n, 1, "recorded, by the second"],
    ]);
    const tick = columns.best(first - 1, "B") ?? 0;
    expect(restingLines(columns, first - 1, tick, tick + 1)).toContain("recorded each second: as it was at the end");
    expect(restingLines(columns, columns.first, tick, tick + 1)).toContain("recorded every 10 s: as it was at the end");
    expect(restingLines(columns, first - 1, tick - 500, tick - 499)[0]).toContain("beyond the");
  });

  it("is asked for again where the server could not answer, later each time, and not before the server says so", async () => {
    const { asked, refusals, record, look } = made();
    const refused = (status: number, code: string, retryAfterMs: number | null): Answer => ({
      kind: "refused",
      problem: { status, code, title: code, detail: code, traceId: "", choices: [] },
      retryAfterMs,
    });
    const times: number[] = [];
    const lookUntil = async (fromMs: number, toMs: number): Promise<void> => {
      for (let nowMs = fromMs; nowMs < toMs; nowMs += 100) {
        const before = asked.length;
        await look(nowMs);
        if (asked.length > before) times.push(nowMs);
      }
    };
    await look(0);
    // Two requests for each try: the book before, and its levels.
    refusals.push(refused(503, "history_busy", 1_000), refused(503, "history_busy", 3_000));
    refusals.push({ kind: "failed", reason: "no answer within 5 s" }, { kind: "failed", reason: "no answer within 5 s" });
    refusals.push(refused(404, "not_recorded", null), refused(429, "too_many_requests", null));
    await lookUntil(2_000, 5_900);
    expect(times).toHaveLength(2);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(3_000);
    expect(record.recordedTo).toBeNull();
    await lookUntil(5_900, 20_000);
    expect(times).toHaveLength(6);
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(1_000);
    expect((times[3] ?? 0) - (times[2] ?? 0)).toBeGreaterThanOrEqual(2_000);
    const spans = asked.filter((path) => path.includes("/history/")).map((path) => /start=(\d+)0{9}/.exec(path)?.[1]);
    expect(spans).toEqual(["999990", "999990", "999990", "999990", "999940", "999700"]);
    expect([record.recordedTo, record.columns.first]).toEqual([0, -(15 + 50 + 24)]);
  });

  it("is asked for no more where the server says that there is none", async () => {
    const { asked, refusals, record, look } = made();
    const problem = { status: 500, code: "history_damaged", title: "", detail: "", traceId: "", choices: [] };
    refusals.push({ kind: "refused", problem, retryAfterMs: null }, { kind: "refused", problem, retryAfterMs: null });
    for (let nowMs = 0; nowMs < 60_000; nowMs += 500) await look(nowMs);
    expect([asked.length, record.recordedTo]).toEqual([2, null]);
  });

  it("is coarser where more happens, and goes no further where there is too much", async () => {
    const { asked, answers, look } = made();
    answers.push((path) => {
      if (!path.includes("/history/")) return WIRE_BOOK;
      if (path.includes("interval")) return { levels: [], next_cursor: "more" };
      return { levels: Array.from({ length: ROWS_MAX - 1 }, () => row(NOW_S - 2, "B", "64.77", 4)) };
    });
    await look(0);
    for (let nowMs = 2_000; nowMs < 3_000; nowMs += 100) await look(nowMs);
    const intervals = asked.filter((path) => path.includes("/history/")).map((path) => /interval=(\d+)s/.exec(path)?.[1]);
    expect(intervals).toEqual([undefined, "5", "10"]);
  });

  it.each([
    [NOW_S, [[1_000_000, 1_000_005], [999_950, 1_000_000]]],
    // Nothing is between the last multiple of ten and the first column.
    [NOW_S - 5, [[999_950, 1_000_000]]],
  ])("is told by fewer or coarser steps where one answer does not hold it all, seen from %d on", async (seenS, told) => {
    const { asked, answers, record, look } = made({}, seenS);
    answers.push((path) => {
      if (!path.includes("/history/")) return WIRE_BOOK;
      const [from, to, stepS] = (/start=(\d+)0{9}&end=(\d+)0{9}/.exec(path)?.slice(1).map(Number) ?? []).concat(Number(/interval=(\d+)s/.exec(path)?.[1] ?? 1));
      // As a book of the busiest has it: more than four hundred of them at the end of each step.
      const isCut = (((to ?? 0) - (from ?? 0)) / (stepS ?? 1)) * 440 > ROWS_MAX;
      return isCut ? { levels: [], next_cursor: "more" } : { levels: Array.from({ length: 440 }, () => row(from ?? 0, "B", "64.77", 4)) };
    });
    await look(0);
    for (let nowMs = 2_000; nowMs < 4_000; nowMs += 100) await look(nowMs);
    const { columns } = record;
    expect(stretchesOf(columns, record.recordedTo ?? 0).map(({ from, until }) => [Number(columns.tsOf(from) / S), Number(columns.tsOf(until) / S)])).toEqual(told.toReversed());
    expect(asked.filter((path) => path.includes("/history/")).length).toBeLessThan(8);
  });

  it("ends where a session begins, or a hole ends", async () => {
    const sessions = [{ source: "file:a", start: 5n, end: BigInt(NOW_S) * S, records: 1 }];
    const holes = [{ start: 999_970n * S, end: 999_998n * S + 1n, records: 1, reason: "lost" }];
    const { asked, record, look } = made({ sessions, holes });
    await look(0);
    for (let nowMs = 2_000; nowMs < 3_000; nowMs += 100) await look(nowMs);
    expect(asked).toHaveLength(2);
    expect([record.recordedTo, record.columns.first]).toEqual([0, -(NOW_S - 999_999)]);
  });

  it("is forgotten with what it stood in front of", async () => {
    const { asked, record, look } = made();
    await look(0);
    const under = look(2_000);
    record.clear();
    record.takeDepth(book({ instrumentId: 2, tsRecv: (BigInt(NOW_S) * S).toString() }), true, 2_000);
    await under;
    expect(record.recordedTo).toBeNull();
    await look(2_100);
    expect(asked).toHaveLength(2);
    await look(3_700);
    expect(asked.slice(2).every((path) => path.startsWith("/v1/books/1%3A2"))).toBe(true);
    expect(record.recordedTo).not.toBeNull();
  });

  it("is not asked for where nothing makes tables", async () => {
    const { asked, state, look } = made();
    state.onMetrics(metrics({ recording: { state: "off", warning: null, recordsLost: null, tablesLagS: null } }));
    for (const nowMs of [0, 2_000, 60_000]) await look(nowMs);
    expect(asked).toEqual([]);
  });
});
