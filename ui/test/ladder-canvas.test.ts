import { describe, expect, it } from "vitest";
import type { QueuedOrder } from "../src/panes/ladder-rows";
import { fitBlocks } from "../src/panes/ladder-canvas";

/** As the page has it in a window of 1440 by 900: the room of a queue, and one rem, px. */
const DESK = { room: 96, rem: 13.952 };

const queue = (...sizes: number[]): Pick<QueuedOrder, "order">[] => sizes.map((size, index) => ({ order: [String(index), size, "0"] }));
const scale = (orderSizeMax: number, ordersTypical: number) => ({ orderSizeMax, ordersTypical });
const used = (widths: readonly number[]): number => widths.reduce((sum, width) => sum + width + 1, 0);

describe("the blocks of a queue", () => {
  it("shows every order where there is room", () => {
    expect(fitBlocks(queue(1, 4, 1), 3, scale(4, 3), 200, 16)).toHaveLength(3);
  });

  it("makes a larger order wider, and the smallest still visible", () => {
    const [, small, large] = fitBlocks(queue(1, 1, 10_000), 3, scale(10_000, 3), 200, 16);
    expect(small).toBeGreaterThanOrEqual(2);
    expect(large).toBeGreaterThan(3 * (small ?? 0));
  });

  it("gives most orders of a long queue their block on a desk", () => {
    const sizes = Array.from({ length: 26 }, (_, index) => 1 + ((index * 7) % 10));
    expect(fitBlocks(queue(...sizes), 26, scale(50, 26), DESK.room, DESK.rem).length).toBeGreaterThanOrEqual(14);
  });

  it("makes them wider where queues are short", () => {
    const one = (ordersTypical: number) => fitBlocks(queue(5, 5), 2, scale(5, ordersTypical), DESK.room, DESK.rem)[1] ?? 0;
    expect(one(2)).toBeGreaterThan(1.5 * one(20));
  });

  it("scales blocks by all rows, not by their own", () => {
    const [few, many] = [2, 40].map((count) => fitBlocks(queue(...Array.from({ length: count }, () => 9)), count, scale(30, 20), DESK.room, DESK.rem)[1]);
    expect(few).toBe(many);
  });

  it("draws the front, however little room there is, and wide enough to be hit", () => {
    expect(fitBlocks(queue(50, 1), 60, scale(50, 60), 20, 16)).toEqual([5]);
  });

  it("keeps room for the number of those left out, by its digits", () => {
    const widths = fitBlocks(queue(...Array.from({ length: 40 }, () => 4)), 40, scale(4, 40), 120, 16);
    expect(widths.length).toBeGreaterThan(0);
    expect(used(widths)).toBeLessThanOrEqual(120 - 1.6 * 16);
    const hundreds = fitBlocks(queue(...Array.from({ length: 60 }, () => 4)), 400, scale(4, 40), 120, 16);
    expect(used(hundreds)).toBeLessThanOrEqual(120 - 2 * 16);
  });

  it("says +n also when the server sent fewer orders than it counted", () => {
    expect(fitBlocks(queue(1, 1), 5, scale(1, 5), 200, 16)).toHaveLength(2);
  });

  it("draws nothing of an empty queue", () => {
    expect(fitBlocks([], 0, scale(0, 0), 200, 16)).toEqual([]);
  });
});
