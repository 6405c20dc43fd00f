import { describe, expect, it } from "vitest";
import { priceLabels, sizeLabels } from "../src/panes/depth-axis";

const texts = (labels: readonly { readonly text: string }[]): string[] => labels.map(({ text }) => text);

describe("the axes of the depth chart", () => {
  it("has prices of whole ticks, with all decimals of the market at each of them", () => {
    expect(texts(priceLabels(349.48, 351.56, 10_000_000n, 2, 5))).toEqual(["349.50", "350.00", "350.50", "351.00", "351.50"]);
    expect(texts(priceLabels(349.48, 351.56, 10_000_000n, 2, 3))).toEqual(["350.00", "351.00"]);
  });

  it("has no price between two ticks", () => {
    expect(texts(priceLabels(4999.9, 5001.1, 250_000_000n, 2, 10))).toEqual(["5000.00", "5000.50", "5001.00"]);
    // Halves of a thirty-second.
    expect(texts(priceLabels(110, 110.07, 15_625_000n, 9, 3))).toEqual(["110.000000000", "110.031250000", "110.062500000"]);
  });

  it("knows prices below zero, and numbers the ticks of a market whose book writes fewer decimals", () => {
    expect(texts(priceLabels(-1.1, 1.1, 500_000_000n, 0, 10))).toEqual(["−1", "−0.5", "0", "0.5", "1"]);
  });

  it("has whole sizes, each with the same unit and decimals", () => {
    expect(texts(sizeLabels(20_000, 4))).toEqual(["0", "5k", "10k", "15k", "20k"]);
    expect(texts(sizeLabels(12_000, 5))).toEqual(["0", "5k", "10k"]);
    expect(texts(sizeLabels(1_500_000, 4))).toEqual(["0", "0.5M", "1.0M", "1.5M"]);
    expect(texts(sizeLabels(2_500, 5))).toEqual(["0", "500", "1,000", "1,500", "2,000", "2,500"]);
    expect(texts(sizeLabels(2, 8))).toEqual(["0", "1", "2"]);
  });
});
