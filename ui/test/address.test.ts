import { describe, expect, it } from "vitest";
import { formatAddress, isoTime, parseAddress, timesWritten } from "../src/address";

describe("the address", () => {
  it.each([
    ["", { instrument: null, at: null, view: "book" }],
    ["#SYN0", { instrument: "SYN0", at: null, view: "book" }],
    ["#2%3A1", { instrument: "2:1", at: null, view: "book" }],
    ["#100%", { instrument: "100%", at: null, view: "book" }],
    ["#%ff", { instrument: "%ff", at: null, view: "book" }],
    ["#instrument=SYN0&at=2025-09-24T21:47:00Z&view=performance", { instrument: "SYN0", at: "2025-09-24T21:47:00Z", view: "performance" }],
    ["#at=1758750420000193260", { instrument: null, at: "1758750420000193260", view: "book" }],
    ["#instrument=A%26B%3DC&view=nonsense", { instrument: "A&B=C", at: null, view: "book" }],
  ])("is read: %s", (hash, expected) => {
    expect(parseAddress(hash)).toEqual(expected);
  });

  it.each(["SYN0", "2:1", "A&B=C", "at=1", "ES 06-26 %"])("leads back to what it was written from: %s", (instrument) => {
    for (const at of [null, "2025-09-24T21:47:00.000193260Z"]) {
      for (const view of ["book", "performance"] as const) {
        expect(parseAddress(`#${formatAddress({ instrument, at, view })}`)).toEqual({ instrument, at, view });
      }
    }
  });

  it("has times that people can read, exact to the nanosecond", () => {
    expect(isoTime("1758750420000193260")).toBe("2025-09-24T21:47:00.00019326Z");
    expect(isoTime("1758750420000000000")).toBe("2025-09-24T21:47:00Z");
    expect(formatAddress({ instrument: "1:435026", at: null, view: "book" })).toBe("1:435026");
    expect(formatAddress({ instrument: "SYN0", at: "2025-09-24T21:47:00Z", view: "book" })).toBe("instrument=SYN0&at=2025-09-24T21:47:00Z");
  });

  it("has what a server says of times in words for a reader", () => {
    const before = "time 1: the history begins at 1758750420000193260 (ts_event, ns)";
    expect(timesWritten(before)).toBe("time 1970-01-01T00:00:00.000000001Z: the history begins at 2025-09-24T21:47:00.00019326Z; expected a time from then on");
    const nonsense = "from: time 'soon': expected nanoseconds since 1970 or ISO 8601 such as 2025-09-24T21:47:00.123456789Z";
    expect(timesWritten(nonsense)).toBe(nonsense.slice(6));
    expect(timesWritten("no order 5 rests at 1758750420000193260, or is known to have")).toBe("no order 5 rests at 2025-09-24T21:47:00.00019326Z, or is known to have");
    expect(timesWritten("2 records of 2025 are missing")).toBe("2 records of 2025 are missing");
  });
});
