import { describe, expect, it } from "vitest";
import { BUDGET_MS, Loop, TEXT_INTERVAL_MS } from "../src/loop";

const FRAME_MS = 16;

/** A loop whose painting takes so long, by a clock of its own, and what it painted when. */
class Bench {
  readonly log: string[] = [];
  readonly took: number[] = [];
  readonly loop: Loop;
  #nowMs = 0;

  constructor(isReduced = false) {
    const pace = { isReduced, textIntervalMs: TEXT_INTERVAL_MS };
    this.loop = new Loop(() => pace, (tookMs) => this.took.push(tookMs), () => this.#nowMs);
  }

  slot(name: string, costMs = 0) {
    const slot = this.loop.slot();
    slot.add({
      write: (atMs) => {
        this.log.push(`${name} text ${atMs}`);
        this.#nowMs += costMs;
      },
      paint: (atMs) => this.log.push(`${name} canvas ${atMs}`),
    });
    return slot;
  }

  count(word: string): number {
    return this.log.filter((line) => line.includes(word)).length;
  }

  take(): string[] {
    return this.log.splice(0);
  }
}

describe("the frame loop", () => {
  it("writes text at most ten times a second, however often data comes", () => {
    const bench = new Bench();
    bench.slot("ladder");
    for (let atMs = 0; atMs < 1_000; atMs += FRAME_MS) {
      bench.loop.changed();
      bench.loop.frame(atMs);
    }
    expect(bench.count("text")).toBeLessThanOrEqual(10);
    expect(bench.count("text")).toBeGreaterThanOrEqual(8);
    expect(bench.count("canvas")).toBe(bench.count("text"));
  });

  it("paints what moves between the texts too", () => {
    const bench = new Bench();
    bench.slot("heatmap").isMoving = true;
    for (let atMs = 0; atMs < 1_000; atMs += FRAME_MS) {
      bench.loop.changed();
      bench.loop.frame(atMs);
    }
    expect(bench.count("text")).toBeLessThanOrEqual(10);
    expect(bench.count("canvas")).toBeGreaterThan(18);
    expect(bench.count("canvas")).toBeLessThanOrEqual(30);
  });

  it("keeps countdowns moving without data", () => {
    const bench = new Bench();
    bench.slot("status");
    for (let atMs = 0; atMs <= 1_000; atMs += 100) bench.loop.frame(atMs);
    expect(bench.log.filter((line) => line.includes("text"))).toEqual(["status text 0", "status text 500", "status text 1000"]);
  });

  it("paints once a second for those who asked for less motion", () => {
    const bench = new Bench(true);
    bench.slot("heatmap", BUDGET_MS).isMoving = true;
    const tape = bench.slot("tape", BUDGET_MS);
    for (let atMs = 0; atMs <= 2_000; atMs += 100) {
      bench.loop.changed();
      if (atMs === 300) tape.atOnce();
      bench.loop.frame(atMs);
    }
    expect(bench.log.filter((line) => line.includes("canvas"))).toEqual([
      "heatmap canvas 0", "tape canvas 0", "tape canvas 300",
      "heatmap canvas 1000", "tape canvas 1000", "heatmap canvas 2000", "tape canvas 2000",
    ]);
  });

  it("answers the reader in the next frame, and a pointer with the canvases of its own pane only", () => {
    const bench = new Bench();
    const [ladder] = [bench.slot("ladder"), bench.slot("depth")];
    bench.loop.frame(0);
    bench.take();
    ladder.pointerMoved();
    bench.loop.frame(16);
    expect(bench.take()).toEqual(["ladder canvas 16"]);
    ladder.atOnce();
    bench.loop.frame(32);
    expect(bench.take()).toEqual(["ladder text 32", "ladder canvas 32"]);
    bench.loop.frame(48);
    expect(bench.take()).toEqual([]);
  });

  it("leaves to the next frame what this one has no time for, and forgets none of it", () => {
    const bench = new Bench();
    for (const name of ["ladder", "tape", "health"]) bench.slot(name, BUDGET_MS);
    bench.loop.frame(0);
    expect(bench.take()).toEqual(["ladder text 0", "ladder canvas 0"]);
    bench.loop.frame(16);
    bench.loop.frame(32);
    expect(bench.take()).toEqual(["tape text 16", "tape canvas 16", "health text 32", "health canvas 32"]);
    expect(bench.took).toEqual([BUDGET_MS, BUDGET_MS, BUDGET_MS]);
    const painted = new Set<string>();
    for (let atMs = 48; atMs < 400; atMs += FRAME_MS) {
      bench.loop.changed();
      bench.loop.frame(atMs);
      const names = bench.take().map((line) => line.split(" ")[0] ?? "");
      expect(new Set(names).size).toBeLessThanOrEqual(1);
      for (const name of names) painted.add(name);
    }
    expect([...painted].sort()).toEqual(["health", "ladder", "tape"]);
  });

  it("shows whole what belongs together", () => {
    const bench = new Bench();
    const slot = bench.slot("summary", BUDGET_MS);
    slot.add({ write: (atMs) => bench.log.push(`ladder text ${atMs}`) });
    bench.slot("tape");
    bench.loop.frame(0);
    expect(bench.take()).toEqual(["summary text 0", "ladder text 0", "summary canvas 0"]);
  });
});
