import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RETRY_DELAY_MAX_MS, RETRY_DELAY_MIN_MS, retryDelayMs } from "../src/feed/backoff";
import type { Link } from "../src/feed/feed";
import { PollingFeed } from "../src/feed/polling";
import { State } from "../src/state";
import { WIRE_BOOK, WIRE_INSTRUMENTS, WIRE_METRICS } from "./fixtures";
import { json, Peer, problem, until } from "./peer";

let peer: Peer;
let state: State;
let feed: PollingFeed;
let links: Link[];

function open(settings: ConstructorParameters<typeof PollingFeed>[1] = {}): PollingFeed {
  links = [];
  state = new State();
  const onLink = state.onLink.bind(state);
  state.onLink = (link) => {
    links.push(link);
    onLink(link);
  };
  const fast = { bookIntervalMs: 5, depthIntervalMs: 10, slowIntervalMs: 20, retryDelayMs: () => 20 };
  feed = new PollingFeed(state, { base: peer.base, ...fast, ...settings });
  return feed;
}

beforeEach(async () => {
  peer = new Peer();
  await peer.start();
  peer.routes.set("/v1/metrics", json(WIRE_METRICS));
  peer.routes.set("/v1/instruments", json(WIRE_INSTRUMENTS));
  peer.routes.set("/v1/books/1%3A1", json(WIRE_BOOK));
});

afterEach(async () => {
  feed.close();
  await peer.stop();
});

describe("the polling feed", () => {
  it("delivers instruments, metrics and the book that was selected, with queues and to the depth asked for", async () => {
    open().setDepth(20);
    feed.start();
    await until("the instruments", () => state.instruments !== null);
    expect(peer.asked.some((line) => line.startsWith("/v1/books/"))).toBe(false);
    feed.select("1:1");
    await until("book and depth", () => state.book?.seq === 32_053 && state.depth !== null);
    expect(state.metrics?.version).toBe("0.1.0");
    expect(peer.asked).toContain("/v1/books/1%3A1?level=3&depth=20");
    expect(peer.asked).toContain("/v1/books/1%3A1?level=2&depth=100");
    feed.showQueues(30);
    await until("as many levels with queues as are drawn", () => state.book?.levelsMax === 30);
    expect(peer.asked).toContain("/v1/books/1%3A1?level=3&depth=30");
    feed.showQueues(Infinity);
    await until("no more than there are", () => state.book?.levelsMax === 100);
    feed.showQueues(5);
    await until("the depth asked for", () => state.book?.levelsMax === 20);
  });

  it("asks for the whole list now and then, unless somebody looks at it or there is another book", async () => {
    const lists = (): number => peer.asked.filter((line) => line === "/v1/instruments").length;
    const metrics = (): number => peer.asked.filter((line) => line === "/v1/metrics").length;
    open().start();
    await until("the list", () => state.instruments !== null);
    const asked = metrics();
    await until("some metrics", () => metrics() > asked + 4);
    expect(lists()).toBe(1);
    peer.routes.set("/v1/metrics", json({ ...WIRE_METRICS, books: WIRE_METRICS.books + 1 }));
    await until("the list again", () => lists() === 2);
    feed.watchList(true);
    await until("the list again and again", () => lists() > 5);
    feed.watchList(false);
    await until("the last of these", () => lists() > 5);
    const [before, told] = [lists(), metrics()];
    await until("more metrics", () => metrics() > told + 4);
    expect(lists()).toBeLessThanOrEqual(before + 1);
  });

  it("sends the ETag back and takes 304 for unchanged", async () => {
    peer.routes.set("/v1/books/1%3A1", (request, response) => {
      const level = new URL(request.url ?? "", "http://x").searchParams.get("level") ?? "";
      const etag = `"9f2c-7-${level}"`;
      if (request.headers["if-none-match"] === etag) response.writeHead(304, { ETag: etag }).end();
      else json({ ...WIRE_BOOK, seq: 7 }, { ETag: etag })(request, response);
    });
    open().select("1:1");
    feed.start();
    const unchanged = '/v1/books/1%3A1?level=3&depth=10 "9f2c-7-3"';
    await until("three unchanged answers", () => peer.asked.filter((line) => line === unchanged).length >= 3);
    expect(peer.asked.filter((line) => line === "/v1/books/1%3A1?level=3&depth=10")).toHaveLength(1);
    expect(state.book?.seq).toBe(7);
    expect(state.link.state).toBe("open");
  });

  it("never has two requests for one resource in flight", async () => {
    peer.routes.set("/v1/books/1%3A1", (request, response) => {
      setTimeout(() => {
        json(WIRE_BOOK)(request, response);
      }, 25);
    });
    open({ bookIntervalMs: 1, depthIntervalMs: 1 }).select("1:1");
    feed.start();
    await until("ten requests", () => peer.asked.filter((line) => line.startsWith("/v1/books/")).length >= 10);
    expect(peer.inFlightMax).toBe(1);
  });

  it("drops the answer for an instrument that is no longer selected", async () => {
    let release = (): void => undefined;
    peer.routes.set("/v1/books/slow", (request, response) => {
      release = () => {
        json({ ...WIRE_BOOK, symbol: "SLOW", instrument_id: 9 })(request, response);
      };
    });
    open().start();
    const seen = new Set<string | null>();
    const onBook = state.onBook.bind(state);
    state.onBook = (book) => {
      seen.add(book.symbol);
      onBook(book);
    };
    feed.select("slow");
    await until("the slow request", () => peer.asked.some((line) => line.startsWith("/v1/books/slow?level=3")));
    feed.select("1:1");
    release();
    await until("the other book, twice", () => peer.asked.filter((line) => line.includes("1%3A1?level=3")).length >= 2);
    expect([...seen]).toEqual(["CLX5"]);
  });

  it("reports a 404 on its channel, goes on asking, and withdraws it when the instrument is back", async () => {
    peer.routes.delete("/v1/books/1%3A1");
    open().select("1:1");
    feed.start();
    await until("the 404", () => state.problems.get("book")?.status === 404);
    expect(state.link.state).toBe("open");
    peer.routes.set("/v1/books/1%3A1", json(WIRE_BOOK));
    await until("the book", () => state.book !== null && !state.problems.has("book"));
  });

  it("asks ever more slowly for an instrument that is not there, and at once when the list has it", async () => {
    const asked = { unknown: 0, busy: 0 };
    peer.routes.set("/v1/instruments", json({ ...WIRE_INSTRUMENTS, instruments: [] }));
    peer.routes.set("/v1/books/1%3A1", (request, response) => {
      const isUnknown = request.url?.includes("level=3") === true;
      asked[isUnknown ? "unknown" : "busy"] += 1;
      problem(isUnknown ? 404 : 503, "No")(request, response);
    });
    open({ refusedIntervalMs: 40 }).select("1:1");
    feed.start();
    await until("five questions", () => asked.unknown === 5);
    // Of fifteen steady intervals: a server that is busy is asked at each.
    expect(asked.busy).toBeGreaterThan(9);
    feed.close();

    open({ refusedIntervalMs: 3_600_000 }).select("1:1");
    feed.start();
    await until("the refusals", () => state.problems.get("book")?.status === 404 && state.problems.has("depth"));
    peer.routes.set("/v1/books/1%3A1", json(WIRE_BOOK));
    peer.routes.set("/v1/instruments", json(WIRE_INSTRUMENTS));
    peer.routes.set("/v1/metrics", json({ ...WIRE_METRICS, books: WIRE_METRICS.books + 1 }));
    await until("the book", () => state.book !== null && state.depth !== null && state.problems.size === 0);
  });

  it("hands over the choices of a 409", async () => {
    peer.routes.set("/v1/books/CLX5", problem(409, "Ambiguous", { choices: ["1:1", "2:1"] }));
    open().select("CLX5");
    feed.start();
    await until("the 409", () => state.problems.get("book")?.choices.length === 2);
  });

  it("says which field of an answer is not as agreed", async () => {
    peer.routes.set("/v1/books/1%3A1", json({ ...WIRE_BOOK, seq: null }));
    open().select("1:1");
    feed.start();
    await until("the complaint", () => state.problems.has("book"));
    expect(state.problems.get("book")?.detail).toBe("book.seq: expected a number, got null");
  });
});

describe("a server that goes away", () => {
  it("is noticed, tried again with rising attempts, and found again; the book stays meanwhile", async () => {
    open().select("1:1");
    feed.start();
    await until("the book", () => state.book !== null);
    await peer.stop();
    await until("three failed attempts", () => links.some((link) => link.state === "down" && link.attempt === 3));
    expect(state.book).not.toBeNull();
    expect(state.link).toMatchObject({ state: "down", reason: "the server cannot be reached" });
    peer.routes.set("/v1/books/1%3A1", json({ ...WIRE_BOOK, epoch: "new", seq: 1 }));
    peer.routes.set("/v1/metrics", json({ ...WIRE_METRICS, uptime_s: 0.2 }));
    await peer.start();
    await until("the new book", () => state.link.state === "open" && state.book?.epoch === "new");
    expect(state.restart?.what).toBe("server");
    links.length = 0;
    await peer.stop();
    await until("the next outage", () => state.link.state === "down");
    expect(links[0]).toMatchObject({ state: "down", attempt: 1 });
  });

  it("asks for nothing but the probe while it is away", async () => {
    peer.routes.set("/v1/metrics", problem(503, "Not ready"));
    open().select("1:1");
    feed.start();
    await until("a third attempt", () => links.some((link) => link.state === "down" && link.attempt === 3));
    // The list is asked for once, at the start.
    expect(peer.asked.filter((line) => line !== "/v1/metrics")).toEqual(["/v1/instruments"]);
    expect(state.link).toMatchObject({ state: "down", reason: "the server answered 503: as told" });
  });

  it("is told from a hung one, which is given up", async () => {
    peer.routes.set("/v1/metrics", () => undefined);
    open({ timeoutMs: 50 });
    feed.start();
    await until("the time-out", () => state.link.state === "down");
    expect(state.link).toMatchObject({ reason: "no answer within 0.05 s" });
  });

  it("can be tried at once", async () => {
    await peer.stop();
    open({ retryDelayMs: () => 3_600_000 });
    feed.start();
    await until("the outage", () => state.link.state === "down" && state.link.retryAtMs !== null);
    await peer.start();
    feed.retryNow();
    await until("the connection", () => state.link.state === "open");
  });
});

describe("a hidden tab", () => {
  it("asks for nothing, and catches up when it is seen again", async () => {
    open().select("1:1");
    feed.start();
    await until("the book", () => state.book !== null);
    feed.pause();
    expect(state.link.state).toBe("paused");
    const asked = peer.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    // A request that was already on its way when the tab was hidden may still be counted once per channel.
    expect(peer.asked.length - asked).toBeLessThanOrEqual(4);
    peer.routes.set("/v1/books/1%3A1", json({ ...WIRE_BOOK, seq: 99_999 }));
    feed.resume();
    await until("the newer book", () => state.book?.seq === 99_999);
    expect(state.link.state).toBe("open");
  });
});

describe("the delay between attempts", () => {
  it("doubles up to its bound, spread by the jitter", () => {
    const middle = (): number => 0.5;
    expect([1, 2, 3].map((attempt) => retryDelayMs(attempt, middle))).toEqual([500, 1_000, 2_000]);
    expect(retryDelayMs(1_000, middle)).toBe(RETRY_DELAY_MAX_MS);
    expect(retryDelayMs(1, () => 0)).toBeCloseTo(RETRY_DELAY_MIN_MS * 0.8);
    expect(retryDelayMs(1, () => 0.999)).toBeLessThan(RETRY_DELAY_MIN_MS * 1.2);
  });
});
