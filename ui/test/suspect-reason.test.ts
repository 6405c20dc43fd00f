import { describe, expect, it } from "vitest";
import type { Answer } from "../src/feed/request";
import { SuspectReason } from "../src/suspect-reason";
import { book } from "./fixtures";
import { replay } from "./player";

const TRANSITIONS = [
  { n: 1, kind: "suspect", reason: "gap", publisher_id: 1, instrument_id: 1 },
  { n: 2, kind: "suspect", reason: "half-open", publisher_id: 1, instrument_id: 1 },
  { n: 3, kind: "live", reason: "snapshot", publisher_id: 1, instrument_id: 1 },
  { n: 4, kind: "suspect", reason: "duplicate", publisher_id: 1, instrument_id: 2 },
  { n: 5, kind: "lost", reason: "half-open" },
];

function made(answer: Answer = { kind: "ok", body: { transitions: TRANSITIONS }, etag: null }) {
  const [asked, told]: [string[], string[]] = [[], []];
  const request = (path: string): Promise<Answer> => {
    asked.push(path);
    return Promise.resolve(answer);
  };
  const reason = new SuspectReason(request, (each) => told.push(each));
  const refresh = async (changes: Parameters<typeof book>[0], place: ReturnType<typeof replay> | null = null): Promise<void> => {
    reason.refresh({ book: book(changes), replay: place });
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { asked, told, refresh };
}

describe("why a book is suspect", () => {
  it("is asked for once each time that it becomes so, and forgotten when it is so no more", async () => {
    const { asked, told, refresh } = made();
    await refresh({ state: "live" });
    await refresh({ state: "suspect" });
    await refresh({ state: "suspect", seq: 2 });
    expect([asked, told]).toEqual([["/v1/feed/transitions"], ["", "half-open"]]);
    await refresh({ state: "live" });
    await refresh({ state: "suspect", instrumentId: 2 });
    expect(told.slice(2)).toEqual(["", "", "duplicate"]);
  });

  it("is not known of a book of the past, of one whose change is long ago, and without an answer", async () => {
    const past = made();
    await past.refresh({ state: "suspect" }, replay());
    expect(past.asked).toEqual([]);
    const old = made();
    await old.refresh({ state: "suspect", instrumentId: 9 });
    expect(old.told).toEqual(["", ""]);
    const lost = made({ kind: "failed", reason: "gone" });
    await lost.refresh({ state: "suspect" });
    expect(lost.told).toEqual([""]);
  });
});
