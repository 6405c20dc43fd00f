import { describe, expect, it } from "vitest";
import { Loop, TEXT_INTERVAL_MS } from "../src/loop";

function painted(reduced: boolean, drive: (loop: Loop, frame: (atMs: number) => void) => void): string[] {
  const log: string[] = [];
  const painter = {
    paintAll: (atMs: number) => log.push(`all ${atMs}`),
    paintCanvases: (atMs: number) => log.push(`canvas ${atMs}`),
  };
  const loop = new Loop(painter, () => ({ isReduced: reduced, textIntervalMs: TEXT_INTERVAL_MS }));
  drive(loop, (atMs) => {
    loop.frame(atMs);
  });
  return log;
}

describe("the frame loop", () => {
  it("writes text at most ten times a second, however often data comes", () => {
    const log = painted(false, (loop, frame) => {
      for (let atMs = 0; atMs < 1_000; atMs += 16) {
        loop.changed();
        frame(atMs);
      }
    });
    const [texts, canvases] = ["all", "canvas"].map((kind) => log.filter((line) => line.startsWith(kind)).length);
    expect(texts).toBeLessThanOrEqual(10);
    expect(texts).toBeGreaterThanOrEqual(8);
    // Canvases come between the texts, and at most 30 times a second in all.
    expect(canvases).toBeGreaterThanOrEqual(8);
    expect(log.length).toBeLessThanOrEqual(30);
  });

  it("keeps countdowns moving without data", () => {
    const log = painted(false, (_loop, frame) => {
      for (let atMs = 0; atMs <= 1_000; atMs += 100) frame(atMs);
    });
    expect(log).toEqual(["all 0", "all 500", "all 1000"]);
  });

  it("paints once a second for those who asked for less motion", () => {
    const log = painted(true, (loop, frame) => {
      for (let atMs = 0; atMs <= 2_000; atMs += 100) {
        loop.changed();
        frame(atMs);
      }
    });
    expect(log).toEqual(["all 0", "all 1000", "all 2000"]);
  });

  it("answers the reader at once, and a pointer with the canvases only", () => {
    const log = painted(false, (loop, frame) => {
      frame(0);
      loop.pointerMoved();
      frame(16);
      loop.atOnce();
      frame(32);
      frame(48);
    });
    expect(log).toEqual(["all 0", "canvas 16", "all 32"]);
  });
});
