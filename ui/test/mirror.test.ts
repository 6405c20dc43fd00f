import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { crc32 } from "../src/client/crc";
import { parseMessage } from "../src/client/messages";
import { Mirror, OutOfStep } from "../src/client/mirror";
import type { Level } from "../src/feed/wire";
import { wireDelta, wireMoment, wireSnapshot } from "./fixtures";

interface Vector {
  readonly name: string;
  readonly messages: readonly { readonly type: string }[];
  readonly books: readonly { readonly bids: unknown[]; readonly asks: unknown[]; readonly epoch: string; readonly seq: number; readonly crc: number }[];
}

/** Made by the naive model of the Python tests, which are held against them too. */
const VECTORS = JSON.parse(readFileSync(new URL("../../tests/vectors/streams.json", import.meta.url), "utf8")) as Vector[];
/** The page listens to levels, with or without queues, and not to single operations. */
const DEPTHS: Readonly<Record<string, number>> = { "best bid and offer": 1, "two levels": 2, "ten levels": 10, "three levels with queues": 3 };

function take(mirror: Mirror, wire: unknown): void {
  const { body: message } = parseMessage(JSON.stringify(wire));
  if (message.type !== "snapshot" && message.type !== "delta") throw new Error(`unexpected ${message.type}`);
  mirror.apply(message);
}

function asWire(levels: readonly Level[], withQueues: boolean): unknown[] {
  return levels.map(({ price, size, count, queue }) => (withQueues ? [price, size, count, queue] : [price, size, count]));
}

describe("the mirror", () => {
  it.each(Object.keys(DEPTHS))("follows the shared messages: %s", (name) => {
    const vector = VECTORS.find((candidate) => candidate.name === name);
    expect(vector?.messages.length).toBeGreaterThan(10);
    const mirror = new Mirror(DEPTHS[name] ?? 0);
    vector?.messages.forEach((message, index) => {
      take(mirror, message);
      const expected = vector.books[index];
      const withQueues = name.includes("queues");
      expect(asWire(mirror.bids, withQueues)).toEqual(expected?.bids);
      expect(asWire(mirror.asks, withQueues)).toEqual(expected?.asks);
      expect([mirror.facts?.epoch, mirror.facts?.seq, mirror.checksum()]).toEqual([expected?.epoch, expected?.seq, expected?.crc]);
    });
  });

  it("takes no delta that does not continue it", () => {
    const mirror = new Mirror(10);
    expect(() => { take(mirror, wireDelta(0, 1)); }).toThrow(OutOfStep);
    take(mirror, wireSnapshot(7));
    expect(() => { take(mirror, wireDelta(6, 8)); }).toThrow("a delta from 9f2-6 cannot continue 9f2-7");
    expect(() => { take(mirror, wireDelta(7, 8, { epoch: "9f3" })); }).toThrow(OutOfStep);
  });

  it("does not believe a book of another checksum", () => {
    const mirror = new Mirror(10);
    take(mirror, wireSnapshot(7));
    expect(() => { take(mirror, wireDelta(7, 8, { crc: 1 })); }).toThrow(/the checksum is \d+, the server says 1/);
    expect(mirror.facts).toBeNull();
    expect(() => { take(mirror, wireSnapshot(7, { crc: 1 })); }).toThrow(OutOfStep);
    expect(mirror.facts).toBeNull();
    take(mirror, wireSnapshot(9));
    expect(mirror.facts?.seq).toBe(9);
  });
});

describe("a moment", () => {
  const standAt = (mirror: Mirror, wire: object): boolean => {
    const { body } = parseMessage(JSON.stringify(wire));
    if (body.type !== "moment") throw new Error(`unexpected ${body.type}`);
    return mirror.standAt(body);
  };

  it("says where the mirror stands, and what continues it is as before", () => {
    const mirror = new Mirror(10);
    take(mirror, wireSnapshot(7));
    expect(mirror.orders).toBeNull();
    expect(standAt(mirror, wireMoment(12, 147))).toBe(true);
    expect(mirror.facts).toMatchObject({ seq: 12, sequence: 88_299, tsEvent: "1758751200999999999", tsRecv: "1758751201000000000", state: "live" });
    expect(mirror.orders).toBe(147);
    take(mirror, wireDelta(7, 13));
    expect([mirror.facts?.seq, mirror.facts?.tsEvent, mirror.orders]).toEqual([13, "1758751200123456789", null]);
  });

  it("of another epoch is not about these levels", () => {
    const mirror = new Mirror(10);
    expect(standAt(mirror, wireMoment(12, 147))).toBe(false);
    take(mirror, wireSnapshot(7));
    expect(standAt(mirror, wireMoment(12, 147, { epoch: "9f3" }))).toBe(false);
    expect([mirror.facts?.seq, mirror.orders]).toEqual([7, null]);
  });
});

describe("the checksum", () => {
  it("is the CRC-32 that everybody means", () => {
    expect(crc32("123456789")).toBe(0xcb_f4_39_26);
    expect(crc32("")).toBe(0);
  });

  it("is that of the documentation's example", () => {
    const page = readFileSync(new URL("../../docs/websocket.md", import.meta.url), "utf8");
    const [, text = "", crc = ""] = /CRC-32 of `([^`]+)` is `(\d+)`/.exec(page) ?? [];
    expect(text).toContain(":");
    expect(crc32(text)).toBe(Number(crc));
  });
});
