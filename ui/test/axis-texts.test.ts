import { describe, expect, it } from "vitest";
import { axisTexts, COUNT_UNITS, DURATION_UNITS } from "../src/axis-texts";

describe("the numbers at an axis", () => {
  it("have one unit and the same decimals", () => {
    expect(axisTexts([0, 5_000, 10_000, 15_000], COUNT_UNITS)).toEqual(["0", "5k", "10k", "15k"]);
    expect(axisTexts([0, 500_000, 1_000_000], COUNT_UNITS)).toEqual(["0", "0.5M", "1.0M"]);
    expect(axisTexts([0, 2_500, 5_000], COUNT_UNITS)).toEqual(["0", "2,500", "5,000"]);
    expect(axisTexts([0, 500, 1_000], DURATION_UNITS)).toEqual(["0", "0.5 µs", "1.0 µs"]);
    expect(axisTexts([0, 200, 400], DURATION_UNITS)).toEqual(["0", "200 ns", "400 ns"]);
    expect(axisTexts([0, 0.0025, 0.005], [])).toEqual(["0", "0.0025", "0.0050"]);
  });

  it("are there for one value, and for none", () => {
    expect(axisTexts([3], COUNT_UNITS)).toEqual(["3"]);
    expect(axisTexts([], COUNT_UNITS)).toEqual([]);
  });
});
