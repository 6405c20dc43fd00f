import { describe, expect, it } from "vitest";
import { TEXT_INTERVAL_MS } from "../src/loop";
import { LADDER_DEPTH_DEFAULT, preferencesFrom, themeOf } from "../src/preferences";

describe("preferences", () => {
  it("follow the system's theme on a first visit", () => {
    const first = preferencesFrom({});
    expect(themeOf(first, true)).toBe("light");
    expect(themeOf(first, false)).toBe("dark");
  });

  it("go on following it when something else was chosen", () => {
    const kept = preferencesFrom(JSON.parse(JSON.stringify({ ...preferencesFrom({}), depth: 50 })) as Record<string, unknown>);
    expect(kept.depth).toBe(50);
    expect(themeOf(kept, true)).toBe("light");
  });

  it("keep the reader's theme against the system's", () => {
    expect(themeOf(preferencesFrom({ theme: "dark" }), true)).toBe("dark");
    expect(themeOf(preferencesFrom({ theme: "light" }), false)).toBe("light");
  });

  it("fall back to the defaults for what makes no sense", () => {
    expect(preferencesFrom({ theme: "pink", sides: 3, depth: 7, grouping: 3, ladder: "tall", textIntervalMs: "1000" })).toEqual({
      theme: null,
      sides: "blue-orange",
      ladder: "static",
      depth: LADDER_DEPTH_DEFAULT,
      grouping: 1,
      textIntervalMs: TEXT_INTERVAL_MS,
    });
  });
});
