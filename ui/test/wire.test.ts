import { describe, expect, it } from "vitest";
import { keyOf, parseBook, parseInstruments, parseMetrics, parseProblem } from "../src/feed/wire";
import { WIRE_BOOK, WIRE_INSTRUMENTS, WIRE_METRICS } from "./fixtures";

describe("the wire", () => {
  it("keeps order ids and prices as the strings they came as", () => {
    const book = parseBook(WIRE_BOOK, 10);
    expect(book.bids[0]?.price).toBe("65.40");
    expect(book.bids[0]?.queue[0]).toEqual(["6412345678901234567", 1, "1758751200123456789"]);
    expect(book.asks[0]?.queue).toEqual([]);
    expect(keyOf(book)).toBe("1:1");
  });

  it("takes an instrument without a symbol", () => {
    expect(parseInstruments(WIRE_INSTRUMENTS)[0]).toMatchObject({ symbol: null, publisherId: 2, instrumentId: 77 });
  });

  it("does not take the percentiles of nothing for measurements", () => {
    const metrics = parseMetrics(WIRE_METRICS);
    expect(metrics.apply.p99Ns).toBe(200);
    expect(metrics.snapshot.p99Ns).toBeNull();
  });

  it("lists plain counters only", () => {
    expect(parseMetrics(WIRE_METRICS).counters).toEqual([["unknown_cancels", 1224]]);
  });

  it.each([
    [{ ...WIRE_BOOK, seq: "32053" }, 'book.seq: expected a number, got "32053"'],
    [{ ...WIRE_BOOK, bids: [[65.4, 1, 1]] }, "book.bids[0] price: expected a string, got 65.4"],
    [{ ...WIRE_BOOK, asks: [["6e1", 1, 1]] }, 'book.asks[0] price: expected a decimal string, got "6e1"'],
    [{ ...WIRE_BOOK, asks: [["6.1", 1, 2, [["1", 1, "5"], ["2", "1", "5"]]]] }, 'book.asks[0] queue size: expected a number, got "1"'],
    [{ ...WIRE_BOOK, asks: [["6.1", 1, 1, [7]]] }, "book.asks[0] queue: expected a list, got 7"],
    [{ ...WIRE_BOOK, state: "fine" }, 'book.state: expected empty, snapshot, live, suspect, got "fine"'],
    [{ ...WIRE_BOOK, crossed: undefined }, "book.crossed: expected true or false, got nothing"],
    [[], "book: expected an object, got []"],
  ])("names the field of an answer of another shape", (answer, message) => {
    expect(() => parseBook(answer, 10)).toThrow(message);
  });

  it("reads the choices of a 409 in each of their forms", () => {
    const choices = ["1:5", [2, 5], { publisher_id: 3, instrument_id: 5 }, 7, null];
    expect(parseProblem(409, { title: "Ambiguous", choices }).choices).toEqual(["1:5", "2:5", "3:5"]);
  });

  it("makes do with an error page that is no problem document", () => {
    expect(parseProblem(502, null)).toMatchObject({ status: 502, title: "HTTP 502", detail: "", choices: [] });
  });
});
