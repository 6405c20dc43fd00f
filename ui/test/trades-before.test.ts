import { describe, expect, it } from "vitest";
import type { Answer } from "../src/feed/request";
import { RecordedLine } from "../src/replay-line";
import { State } from "../src/state";
import { RecordedTrades, TRADES_MAX, type TradesBefore } from "../src/trades-before";
import { book, metrics } from "./fixtures";

const S = 1_000_000_000n;
const AT = 1_000_005n * S;
const PAST = true;

const row = (ns: bigint, tsEvent = ns) => ({
  ...{ ts_event: String(tsEvent), ts_recv: String(ns), price: "64.77", size: 3, side: "B", order_id: "7", sequence: 1, ordinal: 5 },
});

function made(rows: readonly ReturnType<typeof row>[], line: Partial<ConstructorParameters<typeof RecordedLine>[0]> = {}) {
  const asked: string[] = [];
  const told: TradesBefore[] = [];
  /** For the next requests, before they are answered. */
  const refusals: Answer[] = [];
  const request = async (path: string): Promise<Answer> => {
    asked.push(path);
    await Promise.resolve();
    const refused = refusals.shift();
    if (refused !== undefined) return refused;
    const [, start = "", end = ""] = /start=(\d+)&end=(\d+)&/.exec(path) ?? [];
    const found = rows.filter(({ ts_recv }) => BigInt(ts_recv) >= BigInt(start) && BigInt(ts_recv) < BigInt(end));
    const page = { trades: found.slice(0, TRADES_MAX), ...(found.length > TRADES_MAX ? { next_cursor: "more" } : {}) };
    return { kind: "ok", body: page, etag: null };
  };
  const trades = new RecordedTrades(request, (before) => told.push(before));
  const state = new State();
  state.onMetrics(metrics());
  const sessions = [{ source: "file:a", start: AT - 3_600n * S, end: AT + 3_600n * S, records: 1 }];
  const recorded = new RecordedLine({ sessions, holes: [], ...line });
  /** Looks, and lets all answers come. */
  const look = async (nowMs: number): Promise<void> => {
    trades.refresh(state, recorded, nowMs);
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  const come = (ns: bigint, nowMs: number, isPast = PAST): void => {
    trades.takeDepth(book({ tsRecv: String(ns), tsEvent: String(ns) }), isPast, nowMs);
  };
  const go = (ns: bigint, nowMs: number): void => {
    trades.reset("moved");
    come(ns, nowMs);
  };
  return { asked, told, refusals, trades, state, look, come, go };
}

describe("trades before a time gone to", () => {
  it("are asked for once, from the first book on back, and are of its events", async () => {
    const rows = [row(AT - 61n * S), row(AT - 60n * S), row(AT - 9n * S), row(AT - 1n, AT + 5n), row(AT), row(AT + 1n)];
    const { asked, told, look, come, go } = made(rows);
    go(AT, 0);
    come(AT + S, 50);
    for (let nowMs = 0; nowMs < 10_000; nowMs += 100) await look(nowMs);
    expect(asked.map((path) => /^\/v1\/books\/1%3A1\/history\/trades\?start=(\d+)&end=(\d+)&/.exec(path)?.slice(1).map(BigInt))).toEqual([
      [AT - S, AT + 1n],
      [AT - 10n * S, AT - S],
      [AT - 60n * S, AT - 10n * S],
    ]);
    expect(told.map(({ sinceNs, trades }) => [sinceNs, trades.map(({ tsRecv }) => BigInt(tsRecv))])).toEqual([
      [AT - 60n * S, [AT - 60n * S, AT - 9n * S, AT]],
    ]);
  });

  it("are those of the newest stretches where there are too many", async () => {
    const many = Array.from({ length: TRADES_MAX + 1 }, (_, at) => row(AT - 50n * S + BigInt(at)));
    const { told, look, go } = made([...many, row(AT - 2n * S)]);
    go(AT, 0);
    await look(2_000);
    expect(told.map(({ sinceNs, trades }) => [sinceNs, trades.length])).toEqual([[AT - 10n * S, 1]]);
  });

  it("are known as far as it was recorded without a break", async () => {
    const holes = [{ start: AT - 90n * S, end: AT - 4n * S, records: 1, reason: "lost" }];
    const { asked, told, look, go } = made([row(AT - 3n * S)], { holes });
    go(AT, 0);
    await look(2_000);
    expect([asked.length, told[0]?.sinceNs, told[0]?.trades.length]).toEqual([2, AT - 4n * S, 1]);
  });

  it("are none of now, of an epoch that begins anew, or where nothing makes tables", async () => {
    const { asked, trades, state, look, come, go } = made([]);
    trades.reset("moved");
    come(AT, 0, !PAST);
    await look(5_000);
    trades.reset("epoch");
    come(AT, 5_000);
    await look(10_000);
    state.onMetrics(metrics({ recording: { state: "recording", warning: null, recordsLost: null, tablesLagS: null } }));
    go(AT, 10_000);
    await look(20_000);
    expect(asked).toEqual([]);
  });

  it("are dropped where the page has gone elsewhere meanwhile", async () => {
    const { told, look, go } = made([row(AT - 20n * S), row(AT - 8n * S)]);
    go(AT, 0);
    const under = look(2_000);
    go(AT - 10n * S, 2_000);
    await under;
    expect(told).toEqual([]);
    await look(4_000);
    expect(told.map(({ trades }) => trades.map(({ tsRecv }) => BigInt(tsRecv)))).toEqual([[AT - 20n * S]]);
  });

  it("are asked for again where the server could not answer, and not where it says that there are none", async () => {
    const { asked, told, refusals, look, go } = made([row(AT - 2n * S)]);
    const problem = (status: number) => ({ status, code: "", title: "", detail: "", traceId: "", choices: [] });
    refusals.push({ kind: "refused", problem: problem(503), retryAfterMs: 3_000 });
    go(AT, 0);
    for (let nowMs = 1_000; nowMs < 3_900; nowMs += 100) await look(nowMs);
    expect([asked.length, told.length]).toEqual([1, 0]);
    for (let nowMs = 4_000; nowMs < 9_000; nowMs += 100) await look(nowMs);
    expect([asked.length, told.length]).toEqual([4, 1]);
    refusals.push({ kind: "refused", problem: problem(500), retryAfterMs: null });
    go(AT, 9_000);
    for (let nowMs = 9_000; nowMs < 60_000; nowMs += 500) await look(nowMs);
    expect([asked.length, told.length]).toEqual([5, 1]);
  });
});
