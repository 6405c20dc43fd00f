import { beforeEach, describe, expect, it } from "vitest";
import { LadderView } from "../src/panes/ladder-view";

const CALM = { held: false, atOnce: false };

describe("the prices in view", () => {
  let view: LadderView;

  beforeEach(() => {
    view = new LadderView();
    view.setRows(21);
    view.setStep(1n);
    view.follow(1_000n, CALM);
  });

  /** Follows until the rows stand still; the tops on the way. */
  function settle(middle: bigint): bigint[] {
    const tops: bigint[] = [];
    do {
      view.follow(middle, CALM);
      tops.push(view.top);
    } while (view.moving);
    return tops;
  }

  it("begins with the market in the centre", () => {
    expect(view.top).toBe(1_010n);
  });

  it("stays where it is while the market moves within the band", () => {
    for (const middle of [1_003n, 1_005n, 995n, 1_000n, 996n]) view.follow(middle, CALM);
    expect(view.top).toBe(1_010n);
    expect(view.moving).toBe(false);
  });

  it("goes back to the centre when what is to be in view with the market is not", () => {
    view.follow(1_004n, { ...CALM, within: [998n, 1_010n] });
    expect([view.top, view.moving]).toEqual([1_010n, false]);
    view.follow(1_004n, { held: false, atOnce: true, within: [997n, 1_011n] });
    expect(view.top).toBe(1_014n);
    view.follow(1_000n, { held: false, atOnce: true, within: [993n, 1_007n] });
    expect(view.top).toBe(1_010n);
  });

  it("goes back to the centre step by step when the market has left the band, and not to its edge", () => {
    const tops = settle(1_008n);
    expect(tops.length).toBeGreaterThan(2);
    expect(tops.at(-1)).toBe(1_018n);
    expect([...tops].sort()).toEqual(tops);
    // The band is now about the new centre.
    view.follow(1_003n, CALM);
    expect(view.top).toBe(1_018n);
  });

  it("is not dragged to and fro by a market that swings about the edge of the band", () => {
    settle(1_006n);
    const { top } = view;
    for (let swing = 0; swing < 20; swing += 1) view.follow(swing % 2 === 0 ? 1_005n : 1_007n, CALM);
    expect(view.top).toBe(top);
  });

  it("jumps where the way is longer than the view, or motion is not wanted", () => {
    view.follow(5_000n, CALM);
    expect(view.top).toBe(5_010n);
    view.follow(5_009n, { held: false, atOnce: true });
    expect(view.top).toBe(5_019n);
    expect(view.moving).toBe(false);
  });

  it("stays with who has scrolled away until they ask for the market", () => {
    expect(view.scroll(15, 900n, 1_100n)).toBe(true);
    view.follow(950n, CALM);
    expect(view.top).toBe(1_025n);
    view.centre();
    settle(950n);
    expect(view.top).toBe(960n);
    expect(view.following).toBe(true);
  });

  it("does not scroll beyond the prices known, but back from there", () => {
    view.scroll(1_000, 900n, 1_100n);
    expect(view.top).toBe(1_110n);
    expect(view.scroll(1, 900n, 1_100n)).toBe(false);
    expect(view.scroll(1, 900n, 1_050n)).toBe(false);
    expect(view.scroll(-1, 900n, 1_050n)).toBe(true);
    expect(view.scroll(-1, null, null)).toBe(false);
  });

  it("holds still for who is at work on a row, unless they ask for the market", () => {
    view.follow(1_009n, { held: true, atOnce: false });
    expect(view.top).toBe(1_010n);
    view.centre();
    view.follow(1_009n, { held: true, atOnce: true });
    expect(view.top).toBe(1_019n);
  });

  it("keeps its middle when it gets other rows, or rows of another height in ticks", () => {
    view.setRows(41);
    expect(view.top).toBe(1_020n);
    view.setRows(21);
    view.setStep(10n);
    expect(view.top).toBe(110n);
    view.setStep(1n);
    expect(view.top).toBe(1_010n);
  });

  it("waits for a market: a book without orders moves nothing", () => {
    view.follow(null, CALM);
    expect(view.top).toBe(1_010n);
    view.reset();
    view.follow(3_000n, CALM);
    expect(view.top).toBe(3_010n);
  });
});
