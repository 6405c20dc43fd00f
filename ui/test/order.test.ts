import { describe, expect, it } from "vitest";
import { lifeSteps, parseOrder, type OrderEvent, type OrderStatus } from "../src/order";

const WIRE = {
  ...{ instrument_id: 1, publisher_id: 1, symbol: "CLX5", epoch: "9f2c", seq: 7, order_id: "6412345678901234567" },
  ...{ status: "resting", side: "B", price: "64.21", size: 3, ts_event: "1758751200123456789" },
  ...{ orders_ahead: 2, size_ahead: 5, orders_behind: 1, size_behind: 4 },
};

/** "A 5 at 1.00" happens at 1, the next at 2; "=" before an action: at the same time as the one before. */
function life(...words: string[]): OrderEvent[] {
  let at = 0;
  return words.map((word) => {
    const [, same, action = "N", size = "0", price = "1.00"] = /^(=?)(\w) (\d+)(?: at (.*))?$/.exec(word) ?? [];
    if (same !== "=") at += 1;
    return { tsEvent: String(at), action: action as OrderEvent["action"], price, size: Number(size) };
  });
}

function told(events: OrderEvent[], status: OrderStatus = "resting"): string[] {
  return lifeSteps(events, status).map(({ kind, change, left, price }) => `${kind} ${change} ${left} ${price ?? ""}`);
}

describe("an order of the server's", () => {
  it("rests in its place, with a life where a history is kept", () => {
    const order = parseOrder(WIRE);
    expect(order).toMatchObject({ status: "resting", side: "B", price: "64.21", size: 3, filled: null, life: null });
    expect(order.place).toEqual({ tsEvent: "1758751200123456789", ordersAhead: 2, sizeAhead: 5, ordersBehind: 1, sizeBehind: 4 });
    const event = { ts_event: "5", action: "A", price: null, size: 3 };
    expect(parseOrder({ ...WIRE, life: [event] }).life).toEqual([{ tsEvent: "5", action: "A", price: null, size: 3 }]);
  });

  it("or has gone", () => {
    const gone = { order_id: "1", status: "filled", side: "N", price: null, size: 0, filled: 7, life: [] };
    expect(parseOrder(gone)).toEqual({ orderId: "1", status: "filled", side: "N", price: null, size: 0, filled: 7, place: null, life: [] });
  });

  it("has nothing left of it where the book was cleared under it, whatever that was", () => {
    const removed = { order_id: "1", status: "removed", side: "B", price: "1.00", size: 3, filled: 0, life: [] };
    expect(parseOrder(removed).size).toBe(0);
  });

  it("is refused with the field that is wrong", () => {
    expect(() => parseOrder({ ...WIRE, status: "lost" })).toThrow(/order\.status/);
    expect(() => parseOrder({ ...WIRE, orders_ahead: "2" })).toThrow(/order\.orders_ahead/);
    expect(() => parseOrder({ ...WIRE, life: [{ action: "Z" }] })).toThrow(/life\[0\]/);
  });
});

describe("the life of an order", () => {
  it("tells a fill and what it changed as one step", () => {
    expect(told(life("A 5", "F 2", "=C 2", "F 3", "=C 3"), "filled")).toEqual([
      "added 5 5 1.00",
      "partly filled -2 3 1.00",
      "filled -3 0 1.00",
    ]);
  });

  it("takes a modify with a fill for a fill too, and a later one for a modify", () => {
    expect(told(life("A 5", "F 2", "=M 3", "M 1", "M 4"))).toEqual([
      "added 5 5 1.00",
      "partly filled -2 3 1.00",
      "modified -2 1 1.00",
      "modified 3 4 1.00",
    ]);
  });

  it("knows a reduction, a cancel, and a move", () => {
    expect(told(life("A 5", "C 2", "M 3 at 1.01", "C 3 at 1.01"), "cancelled")).toEqual([
      "added 5 5 1.00",
      "reduced -2 3 1.00",
      "moved 0 3 1.01",
      "cancelled -3 0 1.01",
    ]);
  });

  it("begins with a modify where the recording began later", () => {
    expect(told(life("M 4", "C 9"), "cancelled")).toEqual(["added 4 4 1.00", "cancelled -4 0 1.00"]);
  });

  it("tells what it took before it rested, which changed nothing of what rests", () => {
    expect(told(life("T 3", "A 2"))).toEqual(["took -3 0 1.00", "added 2 2 1.00"]);
  });

  it("does not take a fill for that of a later cancel", () => {
    expect(told(life("A 5", "F 2", "C 5"), "cancelled")).toEqual(["added 5 5 1.00", "cancelled -5 0 1.00"]);
  });

  it("ends without a time where no record tells that the book was cleared", () => {
    const steps = lifeSteps(life("A 5"), "removed");
    expect(steps.at(-1)).toEqual({ tsEvent: null, kind: "removed", change: -5, left: 0, price: "1.00" });
  });

  it("of nothing is nothing", () => {
    expect(told([])).toEqual([]);
  });
});
