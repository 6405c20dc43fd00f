import { describe, expect, it } from "vitest";
import { parseHistory } from "../src/replay-history";
import { RecordedLine, timeMarks } from "../src/replay-line";
import { Recorded } from "../src/replay-recorded";
import { formatSpan, NS_PER_S, parseTypedTime } from "../src/replay-time";

/** 2025-09-24T21:47:00.000193260Z */
const SHOWN = 1_758_750_420_000_193_260n;

function typed(text: string, shown: bigint | null = SHOWN): bigint | string {
  const read = parseTypedTime(text, shown);
  return "ns" in read ? read.ns : read.problem;
}

describe("typed times", () => {
  it("are exact to the nanosecond", () => {
    expect(typed("1758750420000193261")).toBe(1_758_750_420_000_193_261n);
    expect(typed("2025-09-24T21:47:00.000193261Z")).toBe(1_758_750_420_000_193_261n);
    expect(typed("2025-09-24 21:47:00.5")).toBe(1_758_750_420_500_000_000n);
    expect(typed(" 2025-09-24 21:47 utc ")).toBe(1_758_750_420_000_000_000n);
    expect(typed("2025-09-24")).toBe(1_758_672_000_000_000_000n);
  });

  it("take offsets, and the zone of the reader", () => {
    expect(typed("2025-09-24T23:47:00+02:00")).toBe(1_758_750_420_000_000_000n);
    expect(typed("2025-09-24T16:17:00-0530")).toBe(1_758_750_420_000_000_000n);
    const localMs = new Date(2025, 8, 24, 21, 47, 0).getTime();
    expect(typed("2025-09-24 21:47:00.000000007 local")).toBe(BigInt(localMs) * 1_000_000n + 7n);
  });

  it("count from the time shown", () => {
    expect(typed("+1.5s")).toBe(SHOWN + 1_500_000_000n);
    expect(typed("-2 min")).toBe(SHOWN - 120n * NS_PER_S);
    expect(typed("−250µs")).toBe(SHOWN - 250_000n);
    expect(typed("21:46:59.9")).toBe(1_758_750_419_900_000_000n);
    expect(typed("+1s", null)).toContain("is no time");
    expect(typed("21:46", null)).toContain("is no time");
  });

  it("that are none say what was expected", () => {
    for (const wrong of ["", "noon", "2025-02-30", "2025-13-01", "2025-09-24 24:00", "2025-09-24 21:47 +99:00", "21:60"]) {
      expect(typed(wrong), wrong).toContain("is no time: expected a time such as");
    }
    expect(typed("1969-12-31")).toContain("before 1970");
    expect(typed("99999999999999999999")).toContain("after 2554");
  });

  it("are told apart as people say it", () => {
    expect([999n, 1_500_000n, -4_260_000_000n, 200n * NS_PER_S, 7_500n * NS_PER_S, 187_200n * NS_PER_S].map(formatSpan)).toEqual(
      ["999 ns", "1 ms", "4.2 s", "3 min 20 s", "2 h 05 min", "2 d 04 h"],
    );
  });
});

function session(start: bigint, end: bigint, source = "file:a") {
  return { start, end, source, records: 1 };
}

describe("the newest record between two answers", () => {
  const recording = { state: "recording", warning: null, recordsLost: 0, tablesLagS: null };

  it("goes on as fast as it did before, whatever the pace of the market", async () => {
    let sessions = [{ source: "synthetic:", start: "1000", end: "2000", records: 1 }];
    const recorded = new Recorded(
      () => Promise.resolve({ kind: "ok", body: { state: "recording", records: 1, sessions, holes: [] }, etag: null }),
      () => undefined,
    );
    const answered = async (nowMs: number): Promise<void> => {
      recorded.refresh(nowMs, recording);
      await new Promise((resolve) => setTimeout(resolve, 0));
    };
    await answered(10_000);
    expect(recorded.endAt(10_001), "as the clock, until there are two").toBe(1_002_000n);
    sessions = [{ source: "synthetic:", start: "1000", end: "12000", records: 2 }];
    await answered(15_000);
    expect(recorded.endAt(15_000)).toBe(12_000n);
    expect(recorded.endAt(17_500)).toBe(17_000n);
    // Another session says nothing of the pace.
    sessions = [...sessions, { source: "synthetic:", start: "900000", end: "900100", records: 1 }];
    await answered(20_000);
    expect(recorded.endAt(22_500)).toBe(905_100n);
  });
});

describe("the line of what is recorded", () => {
  const hole = { start: 40n, end: 60n, records: 3, reason: "the disk was full" };

  it("gives sessions the room of their length, and a break little of it", () => {
    const line = new RecordedLine({ sessions: [session(0n, 100n), session(1_000_000n, 1_000_300n, "file:b")], holes: [] });
    const [first, second] = line.stretches;
    expect(first?.x1).toBeCloseTo(0.25, 1);
    expect(second?.x0).toBeGreaterThan(first?.x1 ?? 1);
    expect((second?.x0 ?? 1) - (first?.x1 ?? 0)).toBeLessThan(0.02);
    expect(second?.x1).toBe(1);
    expect([line.start, line.end]).toEqual([0n, 1_000_300n]);
  });

  it("leads from a place to a time and back", () => {
    const line = new RecordedLine({ sessions: [session(0n, 1_000n), session(50_000n, 51_000n)], holes: [hole] });
    for (const ns of [0n, 1n, 40n, 60n, 999n, 1_000n, 50_000n, 50_500n, 51_000n]) expect(line.timeAt(line.xOf(ns)), String(ns)).toBe(ns);
    expect(line.timeAt(-1)).toBe(0n);
    expect(line.timeAt(2)).toBe(51_000n);
    expect(line.xOf(20_000n)).toBe(line.stretches[0]?.x1);
  });

  it("never leads into a break or a hole", () => {
    const line = new RecordedLine({ sessions: [session(0n, 100n), session(5_000n, 5_100n)], holes: [hole] });
    const [first, second] = line.stretches;
    if (first === undefined || second === undefined) throw new Error("there are two stretches");
    const width = second.x0 - first.x1;
    expect(line.timeAt(first.x1 + width * 0.2)).toBe(100n);
    expect(line.timeAt(first.x1 + width * 0.8)).toBe(5_000n);
    expect(line.timeAt(line.xOf(45n))).toBe(40n);
    expect(line.timeAt(line.xOf(55n))).toBe(60n);
    expect([39n, 40n, 41n, 59n, 60n].map((ns) => line.holeAt(ns))).toEqual([null, null, hole, hole, null]);
  });

  it("leaves out what a newer session has put out of force", () => {
    const line = new RecordedLine({
      sessions: [session(0n, 100n, "old"), session(200n, 300n, "hidden"), session(50n, 150n, "again")],
      holes: [],
    });
    expect(line.stretches.map(({ start, end, source }) => [start, end, source])).toEqual([[0n, 50n, "old"], [50n, 150n, "again"]]);
  });

  it("can be a single record, or nothing", () => {
    const line = new RecordedLine({ sessions: [session(7n, 7n)], holes: [] });
    expect([line.timeAt(0), line.timeAt(1), line.xOf(7n)]).toEqual([7n, 7n, 1]);
    expect(new RecordedLine({ sessions: [], holes: [hole] }).isEmpty).toBe(true);
  });

  it("marks round times, with the day where it is another", () => {
    const start = 1_758_758_280_000_000_000n; // 2025-09-24 23:58:00
    const marks = timeMarks(new RecordedLine({ sessions: [session(start, start + 240n * NS_PER_S)], holes: [] }), 0.25);
    expect(marks.map(({ text }) => text)).toEqual(["09-24 23:59", "09-25", "00:01"]);
    expect(marks[1]?.x).toBeCloseTo(0.5, 9);
  });

  it("is read from the server's answer, without sessions that have no time yet", () => {
    const history = parseHistory({
      ...{ state: "recording", start: "5", end: "9", records: 2 },
      sessions: [
        { ordinal: 0, source: "file:a", start: "5", end: "9", records: 2 },
        { ordinal: 2, source: "file:b", start: null, end: null, records: 0 },
      ],
      holes: [{ ordinal: 1, records: 5, start: "6", end: "7", reason: "the disk was full" }],
    });
    expect(history.sessions).toEqual([{ start: 5n, end: 9n, source: "file:a", records: 2 }]);
    expect(history.holes).toEqual([{ start: 6n, end: 7n, records: 5, reason: "the disk was full" }]);
    expect(() => parseHistory({ state: "recording", records: 0, sessions: {}, holes: [] })).toThrow("history.sessions");
  });
});
