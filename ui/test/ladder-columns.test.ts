import { describe, expect, it } from "vitest";
import { CHARACTERS_MIN, COLUMN_SETS, fitColumns, type Characters } from "../src/panes/ladder-columns";
import { leftOut } from "../src/panes/ladder-words";

const REM = 13.952;
const NO_HEADINGS = { price: 0, size: 0, orders: 0, flow: 0, net: 0 };
/** Of a busy market, and of one with long prices. */
const BUSY: Characters = { price: 6, size: 3, orders: 2, flow: 5, net: 5 };
const LONG: Characters = { ...BUSY, price: 11 };

function fit(characters: Characters, room: number, headings = NO_HEADINGS) {
  const widths = fitColumns(characters, room, { ch: 8, rem: REM, headings });
  const { set, price, size, orders, flow, net } = widths;
  const left = { all: flow + net, "no-net": flow, "no-flow": 0, "no-queue": flow, bare: 0 }[set];
  return { ...widths, queueRem: (room - price) / 2 / REM - (size + orders + left) / REM };
}

describe("the ladder's columns", () => {
  it("are all there where there is room", () => {
    expect(fit(CHARACTERS_MIN, 700).set).toBe("all");
  });

  it("give the queues a good width before what was pulled and stacked has any", () => {
    for (let room = 300; room < 900; room += 4) {
      const { set, queueRem } = fit(BUSY, room);
      if (set === "all") expect(queueRem).toBeGreaterThanOrEqual(6);
    }
    expect(fit(BUSY, 512).set).toBe("no-net");
    expect(fit(BUSY, 512).queueRem).toBeGreaterThan(7);
    expect(fit(LONG, 512).set).toBe("no-net");
  });

  it("leave out one after the other", () => {
    const sets = [700, 460, 400, 320, 260].map((room) => fit({ ...LONG, flow: 4 }, room).set);
    expect(sets).toEqual(["all", "no-net", "no-flow", "no-queue", "bare"]);
  });

  it("are never narrower than their heading", () => {
    const headings = { ...NO_HEADINGS, flow: 90, orders: 70 };
    const { flow, orders } = fit(CHARACTERS_MIN, 1_200, headings);
    expect(flow).toBeGreaterThan(90);
    expect(orders).toBeGreaterThan(70);
  });

  it("are named when they are left out, with the way to what they would tell", () => {
    expect(COLUMN_SETS.map((set) => leftOut(set).what)).toEqual(["", "no ±", "no ±, sold, bought", "no ±, queues", "no ±, queues, sold, bought"]);
    expect(leftOut("all")).toEqual({ what: "", how: "", title: "" });
    expect(leftOut("no-net").title).toContain("press Enter");
  });
});
