import { describe, expect, it } from "vitest";
import { placeLabels, type Box, type Label, type LabelSpace, type Mark } from "../src/heatmap-labels";

const HEIGHT = 10;
const WIDTH = 20;

function mark(x: number, y: number, size: number, side: "B" | "A" | "N" = "B"): Mark {
  return { bubble: { side, at: x, ticks: -y, size, count: 1 }, x, y, radius: 8 };
}

function space(hasLine: (box: Box) => boolean = () => false): LabelSpace {
  return { bottom: 200, textHeight: HEIGHT, textOf: ({ size }) => String(size), widthOf: () => WIDTH, hasLine };
}

const said = (labels: readonly Label[]): string[] => labels.map(({ text }) => text).sort();

describe("the numbers of trades", () => {
  it("stand beside their marks, a buyer's above and a seller's below", () => {
    const labels = placeLabels([mark(50, 100, 7), mark(100, 100, 9, "A"), mark(150, 100, 5, "N")], space());
    expect(labels.map(({ x, y }) => [x, y])).toEqual([[50, 87], [100, 113], [150, 87]]);
  });

  it("never overlap: of those that would, the largest trade has one", () => {
    const marks = Array.from({ length: 60 }, (_, at) => mark((at * 37) % 200, 80 + ((at * 13) % 40), 1 + ((at * 29) % 100)));
    const labels = placeLabels(marks, space());
    const overlapping = labels.flatMap((a, at) => labels.slice(at + 1).filter((b) => Math.abs(a.x - b.x) < WIDTH && Math.abs(a.y - b.y) < HEIGHT));
    expect(overlapping).toEqual([]);
    expect(said(labels)).toContain(String(Math.max(...marks.map(({ bubble }) => bubble.size))));
    expect(said(placeLabels([mark(50, 100, 7), mark(60, 100, 7), mark(69, 101, 3)], space()))).toEqual(["7"]);
  });

  it("are the same for a part of the picture as for all of it", () => {
    const marks = Array.from({ length: 60 }, (_, at) => mark((at * 37) % 400, 80 + ((at * 13) % 40), 1 + ((at * 29) % 100)));
    const within = (labels: readonly Label[]): string[] => said(labels.filter(({ x }) => x > 180 && x < 220));
    const part = marks.filter(({ x }) => x > 180 - WIDTH && x < 220 + WIDTH).reverse();
    expect(within(placeLabels(part, space()))).toEqual(within(placeLabels(marks, space())));
  });

  it("go to the other side of the mark where a line is, and are left out where there is one, too, or no room", () => {
    const line = (y: number) => ({ top, bottom }: Box): boolean => top <= y && y <= bottom;
    expect(placeLabels([mark(50, 100, 7)], space(line(85)))[0]?.y).toBe(113);
    expect(placeLabels([mark(50, 100, 7)], space((box) => line(85)(box) || line(110)(box)))).toEqual([]);
    expect(placeLabels([mark(50, 5, 7)], space())[0]?.y).toBe(18);
    expect(placeLabels([mark(50, 195, 7, "A")], space())[0]?.y).toBe(182);
  });
});
