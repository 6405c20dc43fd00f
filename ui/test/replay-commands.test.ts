import { describe, expect, it } from "vitest";
import type { Replay } from "../src/feed/feed";
import { failureOf, folded, ReplayCommands, type Wish } from "../src/replay-commands";
import { RecordedLine } from "../src/replay-line";
import { book, metrics } from "./fixtures";
import { until } from "./peer";
import { Player, refusal, replay } from "./player";

function fold(...wishes: Wish[]): readonly Wish[] {
  return wishes.reduce<readonly Wish[]>(folded, []);
}

const seek = (at: bigint): Wish => ({ do: "seek", at });
const skip = (ns: bigint): Wish => ({ do: "skip", ns });
const step = (events: number): Wish => ({ do: "step", events });
const play: Wish = { do: "play" };
const pause: Wish = { do: "pause" };
const live: Wish = { do: "live" };
const open: Wish = { do: "open", at: "then", onRefused: () => undefined };

function made(current: Replay | null) {
  const player = new Player();
  const state = { replay: current, book: book({ tsEvent: "100", tsRecv: "101" }), metrics: metrics() };
  const commands = new ReplayCommands(player, state, () => undefined);
  commands.line = new RecordedLine({ sessions: [{ source: "file:a", start: 0n, end: 1_000n, records: 1 }], holes: [] });
  return { player, state, commands };
}

describe("wishes that wait", () => {
  it("add up where they are steps or skips", () => {
    expect(fold(step(1), step(1), step(-3))).toEqual([step(-1)]);
    expect(fold(skip(5n), skip(-2n))).toEqual([skip(3n)]);
    expect(fold(seek(10n), skip(-2n))).toEqual([seek(8n)]);
    expect(fold(step(2), skip(5n), step(1))).toEqual([step(2), skip(5n), step(1)]);
  });

  it("are undone by another place, but for whether it plays there", () => {
    expect(fold(seek(1n), step(4), skip(3n), seek(2n))).toEqual([seek(2n), pause]);
    expect(fold(play, seek(1n), seek(2n))).toEqual([seek(2n), play]);
    expect(fold(seek(1n), pause, live)).toEqual([live]);
    expect(fold(seek(1n), live, seek(2n))).toEqual([seek(2n)]);
    expect(fold(seek(1n), play, open)).toEqual([open]);
    expect(fold(open, seek(1n))).toEqual([seek(1n), pause]);
  });

  it("are not lost to one of another kind, and said once", () => {
    expect(fold(seek(1n), play)).toEqual([seek(1n), play]);
    expect(fold(seek(1n), step(-2))).toEqual([seek(1n), step(-2)]);
    expect(fold(step(3), play)).toEqual([step(3), play]);
    expect(fold(step(3), pause)).toEqual([step(3)]);
    expect(fold(step(3), play, pause, step(1))).toEqual([step(4)]);
    expect(fold(play, pause, play)).toEqual([play]);
    expect(fold(open, pause)).toEqual([open]);
    expect(fold(live, pause)).toEqual([live, pause]);
  });
});

describe("what the page asks of the past", () => {
  it("is one thing at a time, and of those that wait the newest", async () => {
    const { player, commands } = made(replay());
    for (const at of [1n, 2n, 3n, 4n]) commands.ask(seek(at));
    expect(player.asked).toEqual(["seek 1"]);
    expect(commands.shownNs).toBe(4n);
    await player.answer();
    expect(player.asked).toEqual(["seek 1", "seek 4"]);
    await player.answer();
    expect([commands.isBusy, commands.shownNs]).toEqual([false, 100n]);
  });

  it("goes first, and then does there what was asked for meanwhile", async () => {
    const { player, commands } = made(replay());
    commands.ask(seek(1n));
    commands.ask(seek(2n));
    commands.toggle();
    commands.ask(skip(5n));
    for (let answer = 0; answer < 4; answer += 1) await player.answer();
    expect(player.asked).toEqual(["seek 1", "seek 2", "resume 1", "seek 105"]);
  });

  it("stays live where live was asked for last, whatever was under way", async () => {
    const { player, state, commands } = made(replay());
    commands.ask(seek(1n));
    commands.ask(seek(2n));
    commands.ask(live);
    await player.answer();
    state.replay = null;
    await player.answer();
    expect(player.asked).toEqual(["seek 1", "live"]);
    expect(commands.isBusy).toBe(false);
  });

  it("toggles what will be, not what was", async () => {
    const { player, commands } = made(replay());
    commands.toggle();
    commands.toggle();
    await player.answer();
    expect(player.asked).toEqual(["resume 1", "pause"]);
    await player.answer();
    commands.ask(step(1));
    commands.toggle();
    await player.answer();
    expect(player.asked.slice(2)).toEqual(["step 1", "resume 1"]);
  });

  it("enters the past standing still at the event on view, and then steps", async () => {
    const { player, commands } = made(null);
    commands.ask(step(-1));
    await player.answer();
    expect(player.asked).toEqual(["replay 100 1 true", "step -1"]);
    const { player: other, commands: paused } = made(null);
    paused.toggle();
    expect(other.asked).toEqual(["replay 100 1 true"]);
    const { player: third, commands: back } = made(null);
    back.ask(skip(-30n));
    expect(third.asked).toEqual(["replay 70 1 true"]);
  });

  it("asks again for the moment of a live book that is not yet to be read, as right after the server's start", async () => {
    const { player, commands } = made(null);
    commands.toggle();
    await player.answer(refusal("not_recorded", "nothing has been recorded"));
    expect([commands.failure, commands.isBusy]).toEqual([null, true]);
    await until("the second question", () => player.asked.length === 2);
    await player.answer();
    expect(player.asked).toEqual(["replay 100 1 true", "replay 100 1 true"]);
    expect([commands.failure, commands.isBusy]).toEqual([null, false]);
  });

  it("plays at the speed chosen, and stays within what is recorded", async () => {
    const { player, commands } = made(replay());
    commands.setSpeed(10);
    expect(player.asked).toEqual([]);
    commands.toggle();
    await player.answer();
    commands.ask(skip(-5_000n));
    await player.answer();
    expect(player.asked).toEqual(["resume 10", "seek 0"]);
    const { player: playing, commands: fast } = made(replay({ state: "playing" }));
    fast.setSpeed(50);
    expect(playing.asked).toEqual(["resume 50"]);
  });

  it("pauses a replay that follows what is recorded, and plays one at the end", async () => {
    const { player, state, commands } = made(replay({ state: "ended" }));
    commands.toggle();
    await player.answer();
    expect(player.asked).toEqual(["pause"]);
    state.metrics = metrics({ source: { uri: "file:/a.dbn", state: "ended", error: null } });
    commands.toggle();
    expect(player.asked).toEqual(["pause", "resume 1"]);
  });

  it("keeps the time that was asked for until something moves", async () => {
    const { player, commands } = made(replay());
    commands.ask(open);
    await player.answer();
    expect(commands.askedFor).toBe("then");
    commands.ask(seek(7n));
    await player.answer();
    expect(commands.askedFor).toBe("1970-01-01T00:00:00.000000007Z");
    commands.ask(step(1));
    await player.answer();
    expect(commands.askedFor).toBeNull();
  });

  it("says in words why it could not be, until something works, and does not do elsewhere what was meant for there", async () => {
    const { player, commands } = made(replay());
    commands.ask(seek(5n));
    commands.ask(step(1));
    await player.answer(refusal("not_recorded", "in a hole"));
    expect(commands.failure).toEqual({ text: "Nothing is recorded of that time.", detail: "not_recorded: in a hole" });
    expect([commands.isBusy, player.asked]).toEqual([false, ["seek 5"]]);
    commands.ask(seek(6n));
    await player.answer();
    expect(commands.failure).toBeNull();
    expect(failureOf(refusal("bad_op", "of an older server")).text).toBe("That did not work: of an older server");
  });

  it("says that a step has come to the end, as a note, until the next command", async () => {
    const { player, commands } = made(replay());
    commands.ask(step(3));
    await player.answer({ events: 1, stoppedAt: "end" });
    expect(commands.failure).toEqual({ text: "This is the end of what is recorded.", detail: "1 of 3 events on", isNote: true });
    commands.ask(step(-2));
    await player.answer({ events: 0, stoppedAt: "beginning" });
    expect(commands.failure).toEqual({ text: "This is the beginning of what can be gone back to.", detail: "0 of 2 events back", isNote: true });
    commands.ask(step(1));
    await player.answer({ events: 1, stoppedAt: null });
    expect(commands.failure).toBeNull();
  });

  it("goes before a hole where its edge cannot be shown, and says so", async () => {
    const { player, commands } = made(replay());
    const [start, end] = [5_000_000_000n, 6_000_000_000n];
    const sessions = [{ source: "file:a", start: 0n, end: 9_000_000_000n, records: 1 }];
    commands.line = new RecordedLine({ sessions, holes: [{ start, end, records: 3, reason: "the disk was full" }] });
    commands.ask(seek(5_100_000_000n));
    await player.answer(refusal("not_recorded"));
    await player.answer(refusal("not_recorded"));
    await player.answer();
    expect(player.asked).toEqual(["seek 5000000000", "seek 4999000000", "seek 4980000000"]);
    expect([commands.askedFor, commands.failure?.detail]).toEqual(["1970-01-01T00:00:04.98Z", "the disk was full"]);
    commands.ask(seek(1n));
    await player.answer(refusal("not_recorded"));
    expect(commands.failure?.text).toBe("Nothing is recorded of that time.");
    expect(player.asked).toHaveLength(4);
  });
});
