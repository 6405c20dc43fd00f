import { describe, expect, it } from "vitest";
import { roundUpSize } from "../src/heatmap-scale";
import { emptyNote, scaleEnd } from "../src/heatmap-words";

describe("the words of an empty heatmap", () => {
  it("say whether the server knows no such book, or refuses its levels", () => {
    expect(emptyNote(undefined)).toBe("No levels yet");
    expect(emptyNote({ status: 404, code: "" })).toBe("No levels: the server has no such book");
    expect(emptyNote({ status: 0, code: "unknown_instrument" })).toBe("No levels: the server has no such book");
    expect(emptyNote({ status: 403, code: "" })).toBe("No levels: the server refuses them");
  });
});

describe("the end of the scale in the legend", () => {
  it("has four characters at the most, for any size that rests", () => {
    expect([300, 1_500, 2_000, 75_000, 1_000_000].map(scaleEnd)).toEqual(["300 or more", "1.5k or more", "2k or more", "75k or more", "1M or more"]);
    for (let size = 1; size < 1e11; size *= 1.1) expect(scaleEnd(roundUpSize(size)).length).toBeLessThanOrEqual("7.5k or more".length);
  });
});
