import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NO_LONGER_RECORDED } from "../src/feed/feed";
import { Navigation } from "../src/navigation";
import { ReplayCommands } from "../src/replay-commands";
import { State } from "../src/state";
import { book } from "./fixtures";
import { Player, refusal, replay } from "./player";

const ASKED = "2025-09-24T22:00:00.5Z";
/** Of the book of that moment: its event was received after the time asked for. */
const THEN = book({ seq: 377, tsEvent: "1758751200123456789", tsRecv: "1758751200700000000" });
const THEN_AT = "2025-09-24T22:00:00.123456789Z";
const NOW = book({ seq: 900, tsEvent: "1758751300000000000", tsRecv: "1758751300000000000" });

/** What of a browser an address needs. */
class Address {
  hash = "";
  origin = "http://127.0.0.1:8000";
  pathname = "/";
  readonly history = {
    replaceState: (_data: unknown, _unused: string, url: string): void => {
      this.hash = url;
    },
  };
}

describe("the address of a moment", () => {
  let address: Address;
  let state: State;
  let player: Player;
  let commands: ReplayCommands;
  let navigation: Navigation;
  let nowMs = 0;

  beforeEach(() => {
    address = new Address();
    vi.stubGlobal("location", address);
    vi.stubGlobal("history", address.history);
    vi.stubGlobal("window", { addEventListener: () => undefined });
    state = new State();
    player = new Player();
    commands = new ReplayCommands(player, state, () => undefined);
    const select = (instrument: string): void => { state.select(instrument); };
    navigation = new Navigation(state, commands, { select, show: () => undefined });
    nowMs = 0;
  });

  afterEach(() => {
    vi.unstubAllGlobals();
  });

  /** Two seconds of frames. */
  function frames(): void {
    for (const end = nowMs + 2_000; nowMs < end; nowMs += 100) navigation.write(nowMs);
  }

  async function opened(): Promise<void> {
    address.hash = `#instrument=SYN0&at=${ASKED}`;
    navigation.follow();
    state.onLink({ state: "open", via: "stream" });
    state.onBook(NOW);
    frames();
    // As the feed does when the answer comes.
    state.onReplay(replay({ ts: "1758751200900000000" }));
    state.onReset("moved");
    await player.answer();
  }

  it("is the one asked for until its book is there, and then leads to that book", async () => {
    await opened();
    expect(player.asked).toEqual([`replay ${ASKED} undefined true`]);
    frames();
    expect(address.hash).toBe(`#instrument=SYN0&at=${ASKED}`);
    expect(navigation.link()).toContain(`at=${ASKED}`);
    state.onBook(THEN);
    frames();
    expect(address.hash).toBe(`#instrument=SYN0&at=${THEN_AT}`);
  });

  it("is never that of the live book", async () => {
    address.hash = `#instrument=SYN0&at=${ASKED}`;
    navigation.follow();
    state.onLink({ state: "open", via: "stream" });
    state.onBook(NOW);
    frames();
    expect(address.hash).toContain(ASKED);
    // Also if the page were to paint between the answer and what it leads to.
    state.onReplay(replay());
    await player.answer();
    frames();
    expect(address.hash).toContain(ASKED);
    expect(state.book).toBeNull();
  });

  it("is where a seek leads, while its book has not come", async () => {
    await opened();
    state.onBook(THEN);
    frames();
    commands.ask({ do: "seek", at: 1_758_751_100_000_000_000n });
    state.onReset("moved");
    frames();
    expect(address.hash, "not answered yet").toContain(THEN_AT);
    await player.answer();
    frames();
    expect(address.hash).toContain("at=2025-09-24T21:58:20Z");
  });

  it("is asked for again after a lost connection, and given up where the server says no", async () => {
    address.hash = `#at=${ASKED}`;
    navigation.follow();
    state.onLink({ state: "open", via: "stream" });
    frames();
    await player.answer(refusal("connection_lost"));
    state.onLink({ state: "connecting" });
    frames();
    expect(address.hash).toContain(ASKED);
    state.onLink({ state: "open", via: "stream" });
    frames();
    expect(player.asked).toHaveLength(2);
    await player.answer(refusal("not_recorded", "time 1000000000: the history begins at 1758750420000193260 (ts_event, ns)"));
    frames();
    const detail = "time 1970-01-01T00:00:01Z: the history begins at 2025-09-24T21:47:00.00019326Z; expected a time from then on";
    expect(state.problems.get("replay")).toMatchObject({ title: "That moment cannot be shown", detail });
    expect(address.hash).toBe("#");
  });

  it("stays while the server shows another moment, as that one is no longer recorded", async () => {
    await opened();
    state.onBook(THEN);
    frames();
    const problem = { status: 0, title: "No longer recorded", detail: "", code: NO_LONGER_RECORDED, traceId: "", choices: [] };
    state.onReset("moved");
    state.onProblem("replay", problem);
    state.onBook(book({ seq: 12, tsEvent: "1758751100000000000" }));
    frames();
    expect(address.hash).toContain(THEN_AT);
    expect(navigation.link()).toContain(THEN_AT);
    state.onProblem("replay", null);
    frames();
    expect(address.hash).toContain("at=2025-09-24T21:58:20Z");
  });

  it("names the instrument, also of a page that was opened without one", () => {
    const syn = { symbol: "SYN0", publisherId: 1, instrumentId: 435_026, state: "live", seq: 1, orders: 1 } as const;
    state.onInstruments([syn, { ...syn, symbol: null, instrumentId: 9 }]);
    state.select("1:435026");
    navigation.follow();
    navigation.go({ view: "performance" });
    expect(address.hash).toBe("instrument=SYN0&view=performance");
    navigation.go({ instrument: "1:9" });
    expect(address.hash).toBe("1:9");
    address.hash = "#435026";
    const before = state.revision;
    navigation.follow();
    expect([state.selected, state.revision], "it is on view, under another name").toEqual(["1:435026", before]);
  });

  it("that is taken away leads back to live", async () => {
    await opened();
    address.hash = "#SYN0";
    navigation.follow();
    expect(player.asked.at(-1)).toBe("live");
  });
});
